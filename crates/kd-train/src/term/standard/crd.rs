use burn::module::Module;
use kd_core::{CrdContrast, CrdLoss, CrdLossConfig, CrdUpdate, NegativeSampler};
use serde::{Deserialize, Serialize};

use super::pairs::{embeddings, seed};
use crate::TrainError;
use crate::term::{Losses, Reads, Setting, Step, Term};

/// `crd`: contrastive representation distillation, with banks of all training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crd {
    /// Negatives of each image, of other classes.
    pub negatives: usize,
    /// Width to which both embeddings are brought.
    pub features: usize,
    /// Temperature of the scores.
    pub temperature: f64,
    /// What stays of a row of a bank when its image is seen, in [0, 1].
    pub momentum: f64,
    /// How the positive is told from the negatives.
    pub contrast: CrdContrast,
}

/// Layers and banks of each network, and where negatives come from.
#[derive(Module, Debug)]
pub struct CrdParts {
    losses: Vec<CrdLoss>,
    #[module(skip)]
    sampler: NegativeSampler,
}

impl Term for Crd {
    const NAME: &'static str = "crd";
    /// One for each network.
    type Parts = CrdParts;
    type Update = Vec<CrdUpdate>;

    fn defaults() -> Self {
        let defaults = CrdLossConfig::new(1, 1, 2);
        Self {
            negatives: 16_384,
            features: defaults.features,
            temperature: defaults.temperature,
            momentum: defaults.momentum,
            contrast: defaults.contrast,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        let make = |(number, [student, teacher]): (usize, [usize; 2])| {
            let config = CrdLossConfig::new(student, teacher, setting.labels.len())
                .with_features(self.features)
                .with_temperature(self.temperature)
                .with_momentum(self.momentum)
                .with_contrast(self.contrast)
                .with_seed(seed(setting, number));
            Ok(config.init(&setting.device)?)
        };
        let losses = setting.embeddings()?.into_iter().enumerate().map(make);
        let labels: Vec<usize> = setting.labels.iter().map(|label| (*label).into()).collect();
        Ok(CrdParts {
            losses: losses.collect::<Result<_, TrainError>>()?,
            sampler: NegativeSampler::new(&labels, self.negatives, setting.seed)?,
        })
    }

    fn losses(
        &self,
        parts: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let teacher = seen.teacher()?;
        let indices: Vec<usize> = step.ids.iter().map(|id| *id as usize).collect();
        // The draws of a step are a function of epoch and step.
        let number = ((step.epoch as u64) << 32) | step.index as u64;
        let negatives = parts.sampler.draw(number, &indices)?;
        let outputs = parts
            .losses
            .iter()
            .zip(seen.peers())
            .map(|(loss, student)| {
                let [student, teacher] = embeddings(student, teacher)?;
                let output = loss.forward(student, teacher, &indices, &negatives)?;
                Ok((output.loss, output.update))
            });
        let outputs = outputs.collect::<Result<Vec<_>, TrainError>>()?;
        let (losses, updates): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        Ok((Losses::of_peers(losses), updates))
    }

    fn remember(&self, mut parts: CrdParts, updates: Vec<CrdUpdate>) -> CrdParts {
        let losses = parts.losses.into_iter().zip(updates);
        parts.losses = losses.map(|(loss, update)| loss.remember(update)).collect();
        parts
    }
}
