use burn::config::Config;
use burn::tensor::{Int, Tensor};

use crate::divergence::{cross_entropy, widen};
use crate::error::{CoreError, check_weight};
use crate::logits::{KlLoss, KlLossConfig};

/// Configuration of [`CsKdLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct CsKdLossConfig {
    /// Weight of the divergence, in [0, inf). The paper takes 1 to 3 by data set.
    #[config(default = 1.0)]
    pub lambda: f64,
    /// Softmax temperature `tau`, in [1e-6, 1e6].
    #[config(default = 4.0)]
    pub temperature: f64,
}

impl CsKdLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the weight is negative or the temperature not in its range.
    pub fn init(&self) -> Result<CsKdLoss, CoreError> {
        let kl = KlLossConfig::new().with_temperature(self.temperature);
        Ok(CsKdLoss {
            lambda: check_weight("lambda", self.lambda)?,
            kl: kl.init()?,
        })
    }
}

/// CS-KD, class-wise self-distillation: `CE(y, z) + lambda tau^2 KL(softmax(z' / tau) || softmax(z / tau))`, where `z'` are the
/// network's own logits of *another image of the same class*.
///
/// From Yun et al., "Regularizing Class-wise Predictions via Self-knowledge Distillation" (CVPR 2020), Eq. 2-3. The partner is
/// evaluated without autodiff, in training mode; it may be the image itself where its class has no other. As its logits are
/// constants, only the images of the first half of such a batch are learnt from.
///
/// Made by [`CsKdLossConfig`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CsKdLoss {
    lambda: f64,
    kl: KlLoss,
}

impl CsKdLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(
        &self,
        logits: Tensor<2>,
        partner_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.forward_no_reduction(logits, partner_logits, labels)
            .mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `logits`, `partner_logits`: `[batch, classes]`; row `i` of both is of images of the same class
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - output: `[batch]`
    pub fn forward_no_reduction(
        &self,
        logits: Tensor<2>,
        partner_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        let logits = widen(logits);
        cross_entropy(logits.clone(), labels)
            + self
                .kl
                .forward_no_reduction(logits, partner_logits)
                .mul_scalar(self.lambda)
    }
}
