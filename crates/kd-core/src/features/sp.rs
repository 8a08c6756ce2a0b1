use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::divergence::{constant_like, widen};
use crate::features::kernels::gram;
use crate::features::maps::Maps;
use crate::math::{inverse_root, normalize};

/// How a matrix of similarities is brought to a common scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpNorm {
    /// Each row has norm 1 (Eq. 2 of the paper, and the published tables).
    Rows,
    /// The whole matrix has norm 1, as in the first public code.
    Whole,
}

/// Configuration of [`SpLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct SpLossConfig {
    /// The normalisation of the similarities.
    #[config(default = "SpNorm::Rows")]
    pub norm: SpNorm,
}

impl SpLossConfig {
    /// Makes the loss.
    pub fn init(&self) -> SpLoss {
        SpLoss { norm: self.norm }
    }
}

/// Similarity-preserving distillation: `||G_s - G_t||_F^2 / B^2`, where `G` are the normalised inner products of the flattened maps of
/// all pairs of samples in the batch.
///
/// From Tung and Mori, "Similarity-Preserving Knowledge Distillation" (ICCV 2019). Published with the last maps before pooling.
/// Channels and sizes of the two networks need not match. A map of zeros is similar to nothing, and has no gradient.
///
/// Made by [`SpLossConfig`]. The teacher's map is a constant; see [`constant_like`]. The loss is of pairs: it has no value per sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpLoss {
    norm: SpNorm,
}

impl SpLoss {
    /// # Shapes
    ///
    /// - `student`: `[batch, channels_s, height_s, width_s]`
    /// - `teacher`: `[batch, channels_t, height_t, width_t]`
    /// - output: `[1]`
    pub fn forward(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        let (of_student, of_teacher) = (self.similarities(student), self.similarities(teacher));
        assert_eq!(
            of_student.dims(),
            of_teacher.dims(),
            "the student's and the teacher's maps must be of the same batch"
        );
        (of_student - of_teacher).square().mean()
    }

    /// The normalised similarities of a batch of maps: `[batch, batch]`.
    pub fn similarities(&self, map: Tensor<4>) -> Tensor<2> {
        let similarities = gram(Maps::new(widen(map)).flat());
        match self.norm {
            SpNorm::Rows => normalize(similarities, 1),
            SpNorm::Whole => {
                let squares = similarities.clone().square().sum_dim(1).sum_dim(0);
                similarities * inverse_root(squares)
            }
        }
    }
}
