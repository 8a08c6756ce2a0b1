//! A network from a file.

use std::path::PathBuf;

use clap::Args;
use kd::models::weights;
use kd::prelude::*;

use crate::{Sets, Statistics};

/// The options of a network that is read from a file.
#[derive(Args, Clone, Debug)]
pub struct NetworkOptions {
    /// Architecture; not needed for files that name theirs
    #[arg(long, visible_aliases = ["teacher", "student"], value_name = "NAME")]
    pub arch: Option<Architecture>,

    /// Weights: safetensors, burnpack, or a PyTorch checkpoint, whatever its name
    #[arg(long, visible_alias = "teacher-weights", value_name = "FILE")]
    pub weights: PathBuf,

    /// Input statistics of the network: imagenet, cifar10 or cifar100. By default those in the file, those that a
    /// published checkpoint is known by, or those of the training set
    #[arg(long, value_name = "NAME")]
    pub statistics: Option<Statistics>,
}

impl NetworkOptions {
    /// The network, for images of these sets.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not fit.
    pub fn restore(&self, sets: &Sets, device: &Device) -> anyhow::Result<Classifier> {
        let statistics = self.statistics.map(|statistics| statistics.0);
        let spec = sets.input_spec()?;
        Ok(weights::restore(
            &self.weights,
            self.arch,
            &spec,
            statistics,
            device,
        )?)
    }
}
