use kd_core::{FitNetLoss, FitNetLossConfig};
use serde::{Deserialize, Serialize};

use super::pairs::{seed, stages, sum};
use crate::TrainError;
use crate::term::{Losses, Reads, Setting, Step, Term};

/// `fitnet`: a hint: the student's map of a stage, through a regressor, against the teacher's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitNet {
    /// Which of the stages after the stem, from 1. Default: 2, as in the published comparisons.
    pub stage: usize,
    /// Whether the regressor ends in a ReLU.
    pub relu: bool,
}

impl Term for FitNet {
    const NAME: &'static str = "fitnet";
    /// One for each network.
    type Parts = Vec<FitNetLoss>;
    type Update = ();

    fn defaults() -> Self {
        Self {
            stage: 2,
            relu: FitNetLossConfig::new([1; 3], [1; 3]).relu,
        }
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<Self::Parts, TrainError> {
        let of = |(number, pairs): (usize, Vec<[[usize; 3]; 2]>)| {
            let pair = self.stage.checked_sub(1).and_then(|stage| pairs.get(stage));
            let Some([student, teacher]) = pair else {
                return Err(TrainError::Recipe {
                    place: "stage".into(),
                    reason: format!("is {}, expected 1 to {}", self.stage, pairs.len()),
                });
            };
            let config = FitNetLossConfig::new(*student, *teacher)
                .with_relu(self.relu)
                .with_seed(seed(setting, number));
            Ok(config.init(&setting.device)?)
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
        let losses = parts.iter().zip(seen.peers()).map(|(loss, student)| {
            let pair = stages(student, teacher).into_iter().nth(self.stage - 1);
            sum(pair.map(|[student, teacher]| loss.forward(student, teacher)))
        });
        let losses = losses.collect::<Result<Vec<_>, TrainError>>()?;
        Ok((Losses::of_peers(losses), ()))
    }
}
