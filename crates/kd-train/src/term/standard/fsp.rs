use burn::tensor::Tensor;
use kd_core::FspLoss;
use serde::{Deserialize, Serialize};

use super::pairs::{NO_STAGES, each, sum};
use crate::TrainError;
use crate::term::{Losses, NoParts, Reads, Setting, Step, Term};

/// `fsp`: how each stage turns into the next, summed over all pairs of neighbours from the stem on,
/// as published. Student and teacher must have the same stages with the same channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fsp {}

impl Term for Fsp {
    const NAME: &'static str = "fsp";
    type Parts = NoParts;
    type Update = ();

    fn defaults() -> Self {
        Self {}
    }

    fn reads(&self) -> Vec<Reads> {
        vec![Reads::FEATURES]
    }

    fn init(&self, setting: &Setting<'_>) -> Result<NoParts, TrainError> {
        let channels = |stages: &[[usize; 3]]| stages.iter().map(|stage| stage[0]).collect();
        let teacher: Vec<usize> = channels(&setting.teacher.as_ref().ok_or(NO_STAGES)?.stages);
        for peer in &setting.peers {
            let student: Vec<usize> = channels(&peer.stages);
            if student.len() < 2 {
                return Err(NO_STAGES);
            }
            if student != teacher {
                return Err(TrainError::Recipe {
                    place: "stages".into(),
                    reason: format!(
                        "of the student have {student:?} channels, expected those of the teacher, \
                         {teacher:?}: networks of one family and width fit"
                    ),
                });
            }
        }
        Ok(NoParts::default())
    }

    fn losses(&self, _: &NoParts, step: &Step<'_>) -> Result<(Losses, ()), TrainError> {
        each(step, |student, teacher| {
            let pairs = student.stages.windows(2).zip(teacher.stages.windows(2));
            sum(pairs.map(|(student, teacher)| {
                let pair = |maps: &[Tensor<4>]| [0, 1].map(|i: usize| maps[i].clone());
                FspLoss.forward(pair(student), pair(teacher))
            }))
        })
    }
}
