use burn::config::Config;
use burn::tensor::Tensor;

use crate::divergence::{assert_same_shape, constant_like, log_softmax, sum_classes, widen};
use crate::error::{CoreError, check_temperature};

/// Configuration of [`JsLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct JsLossConfig {
    /// Softmax temperature `tau` of both networks, in [1e-6, 1e6].
    #[config(default = 4.0)]
    pub temperature: f64,
    /// Whether to multiply by `tau^2`.
    #[config(default = true)]
    pub tau_squared: bool,
}

impl JsLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the temperature is not in its range.
    pub fn init(&self) -> Result<JsLoss, CoreError> {
        let temperature = check_temperature(self.temperature)?;
        Ok(JsLoss {
            temperature,
            scale: if self.tau_squared {
                f64::from(temperature).powi(2)
            } else {
                1.0
            },
        })
    }
}

/// Jensen-Shannon divergence: `tau^2 (KL(p_t || m) + KL(p_s || m)) / 2` with `m = (p_t + p_s) / 2`, all at temperature `tau`.
///
/// Symmetric and bounded by `tau^2 ln 2`, so a teacher that is sure and wrong cannot dominate the batch. From Lin, "Divergence
/// Measures Based on the Shannon Entropy" (1991).
///
/// Made by [`JsLossConfig`]. The teacher's logits are a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JsLoss {
    temperature: f32,
    scale: f64,
}

impl JsLoss {
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
        let log_t = log_softmax(
            constant_like(teacher_logits, &student_logits),
            self.temperature,
        );
        let log_s = log_softmax(student_logits, self.temperature);
        // log m = log p_s + softplus(log p_t - log p_s) - ln 2, from the larger of the two so that nothing overflows.
        let larger = log_t.clone().max_pair(log_s.clone()).detach();
        let sum = (log_t.clone() - larger.clone()).exp() + (log_s.clone() - larger.clone()).exp();
        let log_m = sum.log() + larger.sub_scalar(std::f64::consts::LN_2);
        let of_teacher = log_t.clone().exp() * (log_t - log_m.clone());
        let of_student = log_s.clone().exp() * (log_s - log_m);
        sum_classes(of_teacher + of_student).mul_scalar(0.5 * self.scale)
    }
}
