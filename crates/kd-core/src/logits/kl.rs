use burn::config::Config;
use burn::tensor::Tensor;

use crate::divergence;
use crate::error::{CoreError, check_temperature, check_temperature_of};

/// Configuration of [`KlLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct KlLossConfig {
    /// Softmax temperature `tau` of the student, and of the teacher unless it has its own, in [1e-6, 1e6].
    #[config(default = 4.0)]
    pub temperature: f64,
    /// Softmax temperature of the teacher where it is to differ, in [1e-6, 1e6]. Default: the student's.
    pub teacher_temperature: Option<f64>,
    /// Whether to multiply by `tau^2`, of the student's temperature, which keeps the size of the gradient comparable between
    /// temperatures (Hinton et al., 2015, Section 2.1). In f32 it multiplies rounding as well: above 100 or so little else is left.
    #[config(default = true)]
    pub tau_squared: bool,
}

impl KlLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if `temperature` is not in its range.
    pub fn init(&self) -> Result<KlLoss, CoreError> {
        let temperature = check_temperature(self.temperature)?;
        let teacher_temperature = match self.teacher_temperature {
            Some(value) => check_temperature_of("teacher_temperature", value)?,
            None => temperature,
        };
        let scale = if self.tau_squared {
            temperature * temperature
        } else {
            1.0
        };
        Ok(KlLoss {
            temperature,
            teacher_temperature,
            scale,
        })
    }
}

/// The teacher's term alone: `tau^2 KL(softmax(z_t / tau_t) || softmax(z_s / tau))`, for inputs on which only the teacher's word
/// counts (mixed or otherwise relabelled images).
///
/// Made by [`KlLossConfig`]. The teacher's logits are a constant; see [`divergence::constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KlLoss {
    temperature: f32,
    teacher_temperature: f32,
    scale: f32,
}

impl KlLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`
    /// - output: `[1]`
    pub fn forward(&self, student_logits: Tensor<2>, teacher_logits: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(student_logits, teacher_logits)
            .mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
    ) -> Tensor<1> {
        divergence::assert_same_shape("teacher logits", &teacher_logits, &student_logits);
        let student_logits = divergence::widen(student_logits);
        let teacher = divergence::constant_like(teacher_logits, &student_logits);
        divergence::kl_log(
            divergence::log_softmax(teacher, self.teacher_temperature),
            divergence::log_softmax(student_logits, self.temperature),
        )
        .mul_scalar(self.scale)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tau_squared_is_a_factor() {
        let student = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 3.0]], &Device::flex());
        let teacher = Tensor::<2>::from_data([[0.0, 2.0], [1.0, 1.0]], &Device::flex());
        let config = KlLossConfig::new().with_temperature(2.0);
        let with = config.init().unwrap();
        let without = config.with_tau_squared(false).init().unwrap();
        let a: f32 = with.forward(student.clone(), teacher.clone()).into_scalar();
        let b: f32 = without.forward(student, teacher).into_scalar();
        assert!(b > 0.0);
        assert!((a - 4.0 * b).abs() < 1e-6, "{a} {b}");
    }

    #[test]
    fn a_temperature_of_zero_is_an_error() {
        let error = KlLossConfig::new().with_temperature(0.0).init();
        assert!(matches!(
            error,
            Err(CoreError::OutOfRange {
                field: "temperature",
                ..
            })
        ));
    }
}
