use burn::config::Config;
use burn::tensor::{Int, Tensor};

use crate::divergence::{cross_entropy, log_softmax, soft_cross_entropy, widen};
use crate::error::{CoreError, check_fraction};

/// Cross-entropy with a target distribution: `-sum_c t_c log softmax(z)_c`.
///
/// For targets that are probabilities already: mixed labels, human votes, a teacher's stored probabilities. It differs from the
/// divergence by the entropy of the target, which has no gradient. The target is a constant; see
/// [`constant_like`](crate::divergence::constant_like).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SoftCrossEntropyLoss;

impl SoftCrossEntropyLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    ///
    /// - `logits`, `target_probs`: `[batch, classes]`; the target's rows sum to 1
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<2>, target_probs: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(logits, target_probs).mean()
    }

    /// One value per sample: `[batch]`.
    pub fn forward_no_reduction(&self, logits: Tensor<2>, target_probs: Tensor<2>) -> Tensor<1> {
        soft_cross_entropy(target_probs, logits)
    }
}

/// Configuration of [`LabelSmoothingLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct LabelSmoothingLossConfig {
    /// The share of the uniform distribution in the target, in [0, 1].
    #[config(default = 0.1)]
    pub epsilon: f64,
}

impl LabelSmoothingLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if `epsilon` is not in [0, 1].
    pub fn init(&self) -> Result<LabelSmoothingLoss, CoreError> {
        Ok(LabelSmoothingLoss {
            epsilon: check_fraction("epsilon", self.epsilon)?,
        })
    }
}

/// Cross-entropy with smoothed labels: the target is `1 - epsilon + epsilon / C` for the label and `epsilon / C` for each other class.
///
/// From Szegedy et al., "Rethinking the Inception Architecture" (2016), and as in `torch.nn.functional.cross_entropy`. (Some
/// implementations give the other classes `epsilon / (C - 1)`: that is this loss with `epsilon C / (C - 1)`.)
///
/// Made by [`LabelSmoothingLossConfig`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelSmoothingLoss {
    epsilon: f64,
}

impl LabelSmoothingLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, classes]`
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(logits, labels).mean()
    }

    /// One value per sample: `[batch]`.
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let logits = widen(logits);
        let uniform = log_softmax(logits.clone(), 1.0)
            .mean_dim(1)
            .squeeze_dim::<1>(1)
            .neg();
        cross_entropy(logits, labels).mul_scalar(1.0 - self.epsilon)
            + uniform.mul_scalar(self.epsilon)
    }
}
