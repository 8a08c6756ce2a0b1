use burn::config::Config;
use burn::tensor::{Int, Tensor};

use crate::divergence;
use crate::error::{CoreError, check_fraction};
use crate::logits::{KlLoss, KlLossConfig};

/// Configuration of [`KdLoss`].
///
/// The defaults, `alpha` = 0.9 and `tau` = 4 with `tau^2`, are those of most published CIFAR experiments.
#[derive(Config, Debug, PartialEq)]
pub struct KdLossConfig {
    /// Weight of the teacher's term, in [0, 1]; the labels' term has `1 - alpha`.
    #[config(default = 0.9)]
    pub alpha: f64,
    /// Softmax temperature `tau` of the student, and of the teacher unless it has its own, in the teacher's term; in [1e-6, 1e6].
    #[config(default = 4.0)]
    pub temperature: f64,
    /// Softmax temperature of the teacher where it is to differ, in [1e-6, 1e6]. Default: the student's.
    pub teacher_temperature: Option<f64>,
    /// Whether to multiply the teacher's term by `tau^2`, which keeps the balance of the two terms' gradients when the
    /// temperature changes (Hinton et al., 2015, Section 2.1).
    #[config(default = true)]
    pub tau_squared: bool,
}

impl KdLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if `alpha` is not in [0, 1] or `temperature` is not in its range.
    pub fn init(&self) -> Result<KdLoss, CoreError> {
        Ok(KdLoss {
            alpha: check_fraction("alpha", self.alpha)?,
            kl: KlLossConfig {
                temperature: self.temperature,
                teacher_temperature: self.teacher_temperature,
                tau_squared: self.tau_squared,
            }
            .init()?,
        })
    }
}

/// Knowledge distillation from logits:
/// `L = (1 - alpha) CE(y, softmax(z_s)) + alpha tau^2 KL(softmax(z_t / tau) || softmax(z_s / tau))`.
///
/// From Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015). Made by [`KdLossConfig`]. The
/// teacher's logits are a constant; see [`divergence::constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KdLoss {
    alpha: f64,
    kl: KlLoss,
}

/// The two terms of [`KdLoss`], per sample and before they are weighted with `alpha`.
#[derive(Debug, Clone)]
pub struct KdTerms {
    /// `CE(y, softmax(z_s))`: `[batch]`.
    pub ce: Tensor<1>,
    /// `tau^2 KL(p_t^tau || p_s^tau)`, or without `tau^2` if so configured: `[batch]`.
    pub kl: Tensor<1>,
}

impl KdLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - output: `[1]`
    pub fn forward(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.forward_no_reduction(student_logits, teacher_logits, labels)
            .mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - output: `[batch]`
    pub fn forward_no_reduction(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.combine(self.terms(student_logits, teacher_logits, labels))
    }

    /// The two terms apart, for a log or for other weights. [`combine`](Self::combine) makes the loss of them.
    ///
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`
    /// - `labels`: `[batch]`, each in `0..classes`
    pub fn terms(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> KdTerms {
        let student_logits = divergence::widen(student_logits);
        KdTerms {
            ce: divergence::cross_entropy(student_logits.clone(), labels),
            kl: self.kl.forward_no_reduction(student_logits, teacher_logits),
        }
    }

    /// `(1 - alpha) ce + alpha kl`: `[batch]`.
    pub fn combine(&self, terms: KdTerms) -> Tensor<1> {
        terms.ce.mul_scalar(1.0 - self.alpha) + terms.kl.mul_scalar(self.alpha)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_default_is_nine_tenths_teacher_at_temperature_four() {
        let config = KdLossConfig::new();
        assert_eq!(
            (config.alpha, config.temperature, config.tau_squared),
            (0.9, 4.0, true)
        );
    }

    #[test]
    fn the_ends_of_alpha_are_the_terms() {
        let student = Tensor::<2>::from_data([[1.0, 0.0, -1.0], [0.0, 3.0, 0.5]], &Device::flex());
        let teacher = Tensor::<2>::from_data([[0.0, 2.0, 0.0], [1.0, 1.0, 0.0]], &Device::flex());
        let labels = Tensor::<1, Int>::from_data([2, 1], &Device::flex());
        let at = |alpha| {
            let loss = KdLossConfig::new().with_alpha(alpha).init().unwrap();
            let each = loss.forward_no_reduction(student.clone(), teacher.clone(), labels.clone());
            let terms = loss.terms(student.clone(), teacher.clone(), labels.clone());
            (each.into_data(), terms.ce.into_data(), terms.kl.into_data())
        };
        let (each, ce, _) = at(0.0);
        assert_eq!(each, ce);
        let (each, _, kl) = at(1.0);
        assert_eq!(each, kl);
        assert_ne!(ce, kl);
    }

    #[test]
    fn bad_configurations_are_errors() {
        let alpha = KdLossConfig::new().with_alpha(-0.1).init();
        assert!(
            matches!(alpha, Err(CoreError::OutOfRange { field: "alpha", value, .. }) if value == -0.1)
        );
        let temperature = KdLossConfig::new().with_temperature(f64::NAN).init();
        assert!(matches!(
            temperature,
            Err(CoreError::OutOfRange {
                field: "temperature",
                ..
            })
        ));
    }
}
