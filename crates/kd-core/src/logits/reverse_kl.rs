use burn::config::Config;
use burn::tensor::Tensor;

use crate::divergence::{assert_same_shape, constant_like, kl_log, log_softmax, widen};
use crate::error::{CoreError, check_temperature};

/// Configuration of [`ReverseKlLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct ReverseKlLossConfig {
    /// Softmax temperature `tau` of both networks, in [1e-6, 1e6].
    #[config(default = 4.0)]
    pub temperature: f64,
    /// Whether to multiply by `tau^2`.
    #[config(default = true)]
    pub tau_squared: bool,
}

impl ReverseKlLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the temperature is not in its range.
    pub fn init(&self) -> Result<ReverseKlLoss, CoreError> {
        let temperature = check_temperature(self.temperature)?;
        Ok(ReverseKlLoss {
            temperature,
            scale: if self.tau_squared {
                f64::from(temperature).powi(2)
            } else {
                1.0
            },
        })
    }
}

/// Reverse KL divergence: `tau^2 KL(p_s || p_t)`, both at temperature `tau`.
///
/// [`KlLoss`](crate::KlLoss) asks the student to cover all that the teacher finds likely; this one asks it to say nothing that the teacher
/// finds unlikely, and lets it drop modes. For a student too small to cover the teacher.
///
/// Made by [`ReverseKlLossConfig`]. The teacher's logits are a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReverseKlLoss {
    temperature: f32,
    scale: f64,
}

impl ReverseKlLoss {
    /// The mean over the batch: `[batch, classes]` each -> `[1]`.
    pub fn forward(&self, student_logits: Tensor<2>, teacher_logits: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(student_logits, teacher_logits)
            .mean()
    }

    /// One value per sample: `[batch, classes]` each -> `[batch]`.
    pub fn forward_no_reduction(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
    ) -> Tensor<1> {
        assert_same_shape("teacher logits", &teacher_logits, &student_logits);
        let student_logits = widen(student_logits);
        let teacher = constant_like(teacher_logits, &student_logits);
        kl_log(
            log_softmax(student_logits, self.temperature),
            log_softmax(teacher, self.temperature),
        )
        .mul_scalar(self.scale)
    }
}
