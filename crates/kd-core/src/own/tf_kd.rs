use burn::config::Config;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::divergence::{cross_entropy, kl_log, labels_like, log_softmax, softmax, widen};
use crate::error::{CoreError, check_fraction, check_temperature, check_weight};
use crate::logits::{KlLoss, KlLossConfig};

/// What a divergence is averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlAverage {
    /// Samples *and classes*, as in the authors' code: 1/C of the divergence, made up for by `multiplier`.
    Elements,
    /// Samples: the formula of the paper.
    Samples,
}

impl KlAverage {
    fn factor(self, classes: usize) -> f64 {
        match self {
            Self::Elements => 1.0 / classes as f64,
            Self::Samples => 1.0,
        }
    }
}

/// Configuration of [`TfKdSelfLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct TfKdSelfLossConfig {
    /// Weight of the divergence, in [0, 1]; the labels have `1 - alpha`.
    #[config(default = 0.9)]
    pub alpha: f64,
    /// Softmax temperature `tau` of both, in [1e-6, 1e6].
    #[config(default = 20.0)]
    pub temperature: f64,
    /// A factor of the divergence, in [0, inf).
    #[config(default = 1.0)]
    pub multiplier: f64,
    /// What the divergence is averaged over.
    #[config(default = "KlAverage::Elements")]
    pub average: KlAverage,
}

impl TfKdSelfLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] for a number out of its range.
    pub fn init(&self) -> Result<TfKdSelfLoss, CoreError> {
        let kl = KlLossConfig::new().with_temperature(self.temperature);
        Ok(TfKdSelfLoss {
            alpha: check_fraction("alpha", self.alpha)?,
            kl: kl.init()?,
            multiplier: check_weight("multiplier", self.multiplier)?,
            average: self.average,
        })
    }
}

/// Tf-KD with a copy of the network, trained before, as its teacher:
/// `(1 - alpha) CE(y, z) + alpha multiplier tau^2 KL(p_t || p)`, at temperature `tau`.
///
/// From Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization" (CVPR 2020), Eq. 8. It is
/// [`KdLoss`](crate::KdLoss) but for the average of the authors' code ([`KlAverage`]).
///
/// Made by [`TfKdSelfLossConfig`]. The teacher's logits are a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TfKdSelfLoss {
    alpha: f64,
    kl: KlLoss,
    multiplier: f64,
    average: KlAverage,
}

impl TfKdSelfLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
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
        let [_, classes] = student_logits.dims();
        let student_logits = widen(student_logits);
        let factor = self.alpha * self.multiplier * self.average.factor(classes);
        cross_entropy(student_logits.clone(), labels).mul_scalar(1.0 - self.alpha)
            + self
                .kl
                .forward_no_reduction(student_logits, teacher_logits)
                .mul_scalar(factor)
    }
}

/// Configuration of [`TfKdVirtualLoss`]. The defaults are the authors' for ResNet-18 on CIFAR-100; other networks have others.
#[derive(Config, Debug, PartialEq)]
pub struct TfKdVirtualLossConfig {
    /// Weight of the divergence, in [0, 1]; the labels have `1 - alpha`.
    #[config(default = 0.1)]
    pub alpha: f64,
    /// Softmax temperature `tau` of the virtual teacher, in [1e-6, 1e6].
    #[config(default = 20.0)]
    pub temperature: f64,
    /// The probability that the virtual teacher gives to the label, in [0, 1].
    #[config(default = 0.99)]
    pub correct_probability: f64,
    /// A factor of the divergence, in [0, inf).
    #[config(default = 100.0)]
    pub multiplier: f64,
    /// What the divergence is averaged over.
    #[config(default = "KlAverage::Elements")]
    pub average: KlAverage,
}

impl TfKdVirtualLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] for a number out of its range.
    pub fn init(&self) -> Result<TfKdVirtualLoss, CoreError> {
        Ok(TfKdVirtualLoss {
            alpha: check_fraction("alpha", self.alpha)?,
            temperature: check_temperature(self.temperature)?,
            correct: check_fraction("correct_probability", self.correct_probability)?,
            multiplier: check_weight("multiplier", self.multiplier)?,
            average: self.average,
        })
    }
}

/// Tf-KD with a virtual teacher, who is always right and almost always sure:
/// `(1 - alpha) CE(y, z) + alpha multiplier KL(softmax(u / tau) || softmax(z))`.
///
/// `u` is `correct_probability` at the label and shares the rest among the other classes. From Yuan et al., "Revisiting Knowledge
/// Distillation via Label Smoothing Regularization" (CVPR 2020), Eq. 9-10. As in the authors' code these *probabilities* are divided by
/// the temperature and pass a softmax, which makes the target nearly uniform, and the network's own logits are not softened.
///
/// Made by [`TfKdVirtualLossConfig`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TfKdVirtualLoss {
    alpha: f64,
    temperature: f32,
    correct: f64,
    multiplier: f64,
    average: KlAverage,
}

impl TfKdVirtualLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(logits, labels).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, classes]`
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [_, classes] = logits.dims();
        let logits = widen(logits);
        let target = log_softmax(self.teacher(&logits, labels.clone()), self.temperature);
        let factor = self.alpha * self.multiplier * self.average.factor(classes);
        let divergence = kl_log(target, log_softmax(logits.clone(), 1.0));
        cross_entropy(logits, labels).mul_scalar(1.0 - self.alpha) + divergence.mul_scalar(factor)
    }

    /// What the virtual teacher finds probable, before its temperature, as a constant: `[batch, classes]`.
    fn teacher(&self, like: &Tensor<2>, labels: Tensor<1, Int>) -> Tensor<2> {
        let like = widen(like.clone().without_autodiff());
        let [batch, classes] = like.dims();
        let rest = (1.0 - self.correct) / (classes.max(2) - 1) as f64;
        let at_label = like
            .ones_like()
            .narrow(1, 0, 1)
            .mul_scalar(self.correct - rest);
        like.ones_like().mul_scalar(rest).scatter(
            1,
            labels_like(labels, &like).reshape([batch, 1]),
            at_label,
            burn::tensor::IndexingUpdateOp::Add,
        )
    }
}

impl TfKdVirtualLoss {
    /// The target of a label: `softmax(u / tau)`, `[batch, classes]`, a constant on the device of `logits`.
    pub fn target(&self, logits: &Tensor<2>, labels: Tensor<1, Int>) -> Tensor<2> {
        softmax(self.teacher(logits, labels), self.temperature)
    }
}
