use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::divergence::{constant_like, widen};
use crate::error::{CoreError, check_weight};
use crate::features::kernels::{Boundary, mean_pointwise};
use crate::features::maps::pair;
use crate::math::mean_per_sample;

/// How the terms of the elements are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbReduction {
    /// The sum over the elements of a sample, times 3/1000: the scale behind the published weight of 1.
    ScaledSum,
    /// The mean over the elements of a sample.
    Mean,
}

/// Configuration of [`AbLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct AbLossConfig {
    /// How far from zero the student is to be on the teacher's side, in [0, inf).
    #[config(default = 1.0)]
    pub margin: f64,
    /// How the elements are put together.
    #[config(default = "AbReduction::ScaledSum")]
    pub reduction: AbReduction,
}

impl AbLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the margin is negative or not finite.
    pub fn init(&self) -> Result<AbLoss, CoreError> {
        Ok(AbLoss {
            margin: check_weight("margin", self.margin)?,
            reduction: self.reduction,
        })
    }
}

/// Activation boundaries: each neuron of the student is to be active where the teacher's is,
/// `sum (s + m)^2` where `s > -m` and `t <= 0`, plus `sum (s - m)^2` where `s <= m` and `t > 0`.
///
/// From Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries" (AAAI 2019), Eq. 5. Both maps are to be taken
/// **before** their activation, and the student's brought to the teacher's shape first ([`Hint`](crate::Hint) without ReLU). The
/// published experiments start the student with it, and weigh stage `i` of `n` by `2^(i - n + 1)`, `i` from 0.
///
/// Made by [`AbLossConfig`]. The teacher's map is a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbLoss {
    margin: f64,
    reduction: AbReduction,
}

impl AbLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student`, `teacher`: `[batch, channels, height, width]`, the same for both
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let [_, channels, height, width] = student.dims();
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        assert_eq!(
            student.dims(),
            teacher.dims(),
            "the student's and the teacher's map must have the same [batch, channels, height, width]"
        );
        let term = Boundary {
            margin: self.margin as f32,
        };
        let mean = mean_pointwise(&student, &teacher, term)
            .unwrap_or_else(|| self.mean_by_tensors(student, teacher));
        mean.mul_scalar(match self.reduction {
            AbReduction::ScaledSum => (channels * height * width) as f64 * 3.0 / 1000.0,
            AbReduction::Mean => 1.0,
        })
    }

    fn mean_by_tensors(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let (student, teacher) = pair(student, teacher);
        let (student, teacher) = (student.into_tensor(), teacher.into_tensor());
        // With sign +1 where the teacher is active and -1 where not, what lacks is max(0, margin - sign s).
        let sign = teacher
            .clone()
            .greater_elem(0.0)
            .float()
            .cast(student.dtype())
            .mul_scalar(2.0)
            .sub_scalar(1.0);
        let unknown = teacher.clone().is_nan();
        let lacking = (student * sign.mask_where(unknown, teacher))
            .neg()
            .add_scalar(self.margin);
        let enough = lacking.clone().lower_elem(0.0);
        mean_per_sample(lacking.mask_fill(enough, 0.0).square())
    }
}
