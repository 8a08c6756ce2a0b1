use kd_core::{CcKernel, CcLoss, CcLossConfig};
use serde::{Deserialize, Serialize};

use super::pairs::{embeddings, seed};
use crate::TrainError;
use crate::term::{Losses, Reads, Setting, Step, Term};

/// `cc`: correlation congruence of the embeddings, each brought to one width by a layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cc {
    /// Width to which both embeddings are brought.
    pub features: usize,
    /// What is compared.
    pub kernel: CcKernel,
}

impl Term for Cc {
    const NAME: &'static str = "cc";
    /// One for each network.
    type Parts = Vec<CcLoss>;
    type Update = ();

    fn defaults() -> Self {
        let defaults = CcLossConfig::new(1, 1);
        Self {
            features: defaults.features,
            kernel: defaults.kernel,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        let make = |(number, [student, teacher]): (usize, [usize; 2])| {
            let config = CcLossConfig::new(student, teacher)
                .with_features(self.features)
                .with_kernel(self.kernel)
                .with_seed(seed(setting, number));
            Ok(config.init(&setting.device)?)
        };
        setting
            .embeddings()?
            .into_iter()
            .enumerate()
            .map(make)
            .collect()
    }

    fn losses(
        &self,
        parts: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let teacher = seen.teacher()?;
        let losses = parts.iter().zip(seen.peers()).map(|(loss, student)| {
            let [student, teacher] = embeddings(student, teacher)?;
            Ok(loss.forward(student, teacher))
        });
        let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
        Ok((Losses::of_peers(losses), ()))
    }
}
