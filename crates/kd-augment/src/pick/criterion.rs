//! What makes a candidate worth picking.

use burn::tensor::Tensor;
use kd_core::divergence;
use serde::{Deserialize, Serialize};

use crate::error::{self, AugmentError};
use crate::key::DrawKey;
use crate::stream::{Purpose, Stream};

/// The score of a candidate; the largest are picked. In a recipe: a table with the key `by`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum PickCriterion {
    /// Entropy of the teacher's softmax, in nats, at temperature 1.
    #[default]
    TeacherEntropy,
    /// Entropy of the student's softmax, in nats, at temperature 1.
    StudentEntropy,
    /// KL(teacher ‖ student) of the softmaxes at `temperature`, in nats, without a factor temperature².
    KlTeacherStudent {
        /// Temperature, finite and above 0; 4 if not given.
        #[serde(default = "four")]
        temperature: f32,
    },
    /// A uniform draw: the control experiment.
    Random,
}

fn four() -> f32 {
    4.0
}

impl PickCriterion {
    /// Whether the teacher's logits of the whole pool are needed.
    pub fn needs_teacher(&self) -> bool {
        matches!(self, Self::TeacherEntropy | Self::KlTeacherStudent { .. })
    }

    /// Whether the student's logits of the whole pool are needed.
    pub fn needs_student(&self) -> bool {
        matches!(self, Self::StudentEntropy | Self::KlTeacherStudent { .. })
    }

    /// The scores of a pool of `candidates`, from logits `[candidates, classes]` of those networks that are needed. `key`
    /// and `batch_index` name the stream of the random criterion.
    ///
    /// # Errors
    /// Logits that are needed and missing, or of another number of rows; a device that does not answer.
    pub fn scores(
        &self,
        candidates: usize,
        teacher: Option<&Tensor<2>>,
        student: Option<&Tensor<2>>,
        key: &DrawKey,
        batch_index: u64,
    ) -> Result<Vec<f32>, AugmentError> {
        let logits = |network, logits: Option<&Tensor<2>>| {
            let logits = logits.ok_or(AugmentError::MissingLogits {
                criterion: self.name(),
                network,
            })?;
            match logits.dims() {
                [rows, _] if rows == candidates => Ok(logits.clone().detach()),
                dims => Err(AugmentError::Shape {
                    what: "the logits of the pool",
                    expected: vec![candidates, dims[1]],
                    found: dims.to_vec(),
                }),
            }
        };
        let scores = match *self {
            Self::TeacherEntropy => divergence::entropy(logits("teacher", teacher)?, 1.0),
            Self::StudentEntropy => divergence::entropy(logits("student", student)?, 1.0),
            Self::KlTeacherStudent { temperature } => {
                let (teacher, student) = (logits("teacher", teacher)?, logits("student", student)?);
                if teacher.dims() != student.dims() {
                    return Err(AugmentError::Shape {
                        what: "the student's logits",
                        expected: teacher.dims().to_vec(),
                        found: student.dims().to_vec(),
                    });
                }
                divergence::kl(teacher, student, temperature)
            }
            Self::Random => {
                let mut stream = Stream::new(key, Purpose::Pick, batch_index);
                return Ok((0..candidates).map(|_| stream.unit() as f32).collect());
            }
        };
        let reason = |error: String| AugmentError::Device {
            what: "the scores",
            reason: error,
        };
        scores
            .try_into_data_as::<f32>()
            .map_err(|error| reason(error.to_string()))?
            .try_into_vec::<f32>()
            .map_err(|error| reason(error.to_string()))
    }

    pub(super) fn check(&self) -> Result<(), AugmentError> {
        match self {
            Self::KlTeacherStudent { temperature } => {
                error::positive("pick.temperature", *temperature)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::TeacherEntropy => "teacher_entropy",
            Self::StudentEntropy => "student_entropy",
            Self::KlTeacherStudent { .. } => "kl_teacher_student",
            Self::Random => "random",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    fn scores(
        criterion: PickCriterion,
        teacher: Option<[[f32; 2]; 2]>,
        student: Option<[[f32; 2]; 2]>,
    ) -> Result<Vec<f32>, AugmentError> {
        let tensor = |logits| Tensor::<2>::from_data(logits, &Device::flex());
        let (teacher, student) = (teacher.map(tensor), student.map(tensor));
        criterion.scores(2, teacher.as_ref(), student.as_ref(), &DrawKey::new(0), 0)
    }

    #[test]
    fn known_values() {
        // Softmax of (0, ln 3) is (1/4, 3/4); of (0, 0) it is (1/2, 1/2).
        let certain = [[0.0, 3.0_f32.ln()], [0.0, 0.0]];
        let even = [[0.0; 2]; 2];
        let entropy = 0.562_335_f32;
        for (criterion, teacher, student) in [
            (PickCriterion::TeacherEntropy, Some(certain), None),
            (PickCriterion::StudentEntropy, None, Some(certain)),
        ] {
            let found = scores(criterion, teacher, student).unwrap();
            assert!((found[0] - entropy).abs() < 1e-6, "{found:?}");
            assert!((found[1] - 2.0_f32.ln()).abs() < 1e-6, "{found:?}");
        }
        let kl = PickCriterion::KlTeacherStudent { temperature: 1.0 };
        let found = scores(kl, Some(certain), Some(even)).unwrap();
        assert!(
            (found[0] - (2.0_f32.ln() - entropy)).abs() < 1e-6,
            "{found:?}"
        );
        assert!(found[1].abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn random_scores_follow_the_key() {
        let random = |key: DrawKey, batch| PickCriterion::Random.scores(5, None, None, &key, batch);
        let key = DrawKey::new(1);
        assert_eq!(random(key, 0).unwrap(), random(key, 0).unwrap());
        assert_ne!(random(key, 0).unwrap(), random(key, 1).unwrap());
        assert_ne!(random(key, 0).unwrap(), random(key.epoch(1), 0).unwrap());
    }

    #[test]
    fn missing_and_misshapen_logits_are_named() {
        let kl = PickCriterion::KlTeacherStudent { temperature: 4.0 };
        assert_eq!(
            scores(kl, Some([[0.0; 2]; 2]), None)
                .unwrap_err()
                .to_string(),
            "the criterion kl_teacher_student needs the student's logits"
        );
        let three = Tensor::<2>::from_data([[0.0, 1.0]; 3], &Device::flex());
        let entropy = PickCriterion::TeacherEntropy;
        assert!(
            entropy
                .scores(2, Some(&three), None, &DrawKey::new(0), 0)
                .is_err()
        );
        assert!(
            PickCriterion::KlTeacherStudent { temperature: 0.0 }
                .check()
                .is_err()
        );
    }

    #[test]
    fn recipes() {
        let read = serde_json::from_str::<PickCriterion>;
        assert_eq!(
            read(r#"{"by":"teacher_entropy"}"#).unwrap(),
            PickCriterion::TeacherEntropy
        );
        assert_eq!(
            read(r#"{"by":"kl_teacher_student"}"#).unwrap(),
            PickCriterion::KlTeacherStudent { temperature: 4.0 }
        );
        assert!(read(r#"{"by":"kl_teacher_student","tau":2}"#).is_err());
        assert!(read(r#"{"by":"magic"}"#).is_err());
    }
}
