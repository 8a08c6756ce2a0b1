use kd_core::{VidLoss, VidLossConfig};
use serde::{Deserialize, Serialize};

use super::pairs::{seed, stages, sum};
use crate::TrainError;
use crate::term::{Losses, Reads, Setting, Step, Term};

/// `vid`: variational information distillation, summed over the stages after the stem.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vid {
    /// The variance of every channel before the first step.
    pub initial_variance: f64,
    /// The smallest variance.
    pub epsilon: f64,
}

impl Term for Vid {
    const NAME: &'static str = "vid";
    /// One for each network.
    type Parts = Vec<Vec<VidLoss>>;
    type Update = ();

    fn defaults() -> Self {
        let defaults = VidLossConfig::new(1, 1);
        Self {
            initial_variance: defaults.initial_variance,
            epsilon: defaults.epsilon,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        let of = |(number, pairs): (usize, Vec<[[usize; 3]; 2]>)| {
            let losses = pairs
                .into_iter()
                .enumerate()
                .map(|(stage, [student, teacher])| {
                    let config = VidLossConfig::new(student[0], teacher[0])
                        .with_initial_variance(self.initial_variance)
                        .with_epsilon(self.epsilon)
                        .with_seed(seed(setting, number).wrapping_add(stage as u64));
                    Ok(config.init(&setting.device)?)
                });
            losses.collect()
        };
        setting.stages()?.into_iter().enumerate().map(of).collect()
    }

    fn losses(
        &self,
        parts: &Self::Parts,
        step: &Step<'_>,
    ) -> Result<(Losses, Self::Update), TrainError> {
        let seen = step.view(0);
        let teacher = seen.teacher()?;
        let losses = parts.iter().zip(seen.peers()).map(|(losses, student)| {
            let pairs = stages(student, teacher).into_iter().zip(losses);
            sum(pairs.map(|([student, teacher], loss)| loss.forward(student, teacher)))
        });
        let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
        Ok((Losses::of_peers(losses), ()))
    }
}
