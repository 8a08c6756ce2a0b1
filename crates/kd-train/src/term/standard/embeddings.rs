//! Losses of embeddings, without parts.

use kd_core::{PktLoss, RkdLossConfig};
use serde::{Deserialize, Serialize};

use super::pairs::{each, embeddings};
use crate::TrainError;
use crate::term::{Losses, NoParts, Reads, Setting, Step, Term};

/// `pkt`: probabilistic knowledge transfer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pkt {}

impl Term for Pkt {
    const NAME: &'static str = "pkt";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self {}
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        setting.embeddings()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        each(step, |student, teacher| {
            let [student, teacher] = embeddings(student, teacher)?;
            Ok(PktLoss.forward(student, teacher))
        })
    }
}

impl Term for RkdLossConfig {
    const NAME: &'static str = "rkd";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self::new()
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        setting.embeddings()?;
        self.init()?;
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        let loss = self.init()?;
        each(step, |student, teacher| {
            let [student, teacher] = embeddings(student, teacher)?;
            Ok(loss.forward(student, teacher))
        })
    }
}
