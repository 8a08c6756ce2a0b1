use burn::config::Config;
use burn::tensor::{Int, Tensor};

use crate::divergence::{cross_entropy, widen};
use crate::error::{CoreError, check_weight};
use crate::logits::{KlLoss, KlLossConfig};

/// Configuration of [`DdgsdLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct DdgsdLossConfig {
    /// Weight of the divergences, in [0, inf).
    #[config(default = 1.0)]
    pub lambda: f64,
    /// Weight of the discrepancy between features, in [0, inf).
    #[config(default = 1.0)]
    pub mu: f64,
    /// Softmax temperature `tau` of the divergences, in [1e-6, 1e6].
    #[config(default = 3.0)]
    pub temperature: f64,
}

impl DdgsdLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a weight is negative or the temperature not in its range.
    pub fn init(&self) -> Result<DdgsdLoss, CoreError> {
        let kl = KlLossConfig::new().with_temperature(self.temperature);
        Ok(DdgsdLoss {
            lambda: check_weight("lambda", self.lambda)?,
            mu: check_weight("mu", self.mu)?,
            kl: kl.init()?,
        })
    }
}

/// DDGSD, data-distortion guided self-distillation: two distorted views of the same images pass the same network and are to agree,
/// `CE(y, z_a) + CE(y, z_b) + lambda tau^2 (KL(p_b || p_a) + KL(p_a || p_b)) + mu || mean f_a - mean f_b ||^2`.
///
/// From Xu and Liu, "Data-Distortion Guided Self-Distillation for Deep Neural Networks" (AAAI 2019). In each divergence the other view is
/// a constant; the last term, the maximum mean discrepancy of the features with the linear kernel, moves both views. There is
/// no public code by the authors: weights of 1 are the formula as it stands, to be tuned.
///
/// Made by [`DdgsdLossConfig`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DdgsdLoss {
    lambda: f64,
    mu: f64,
    kl: KlLoss,
}

/// What the network makes of one view.
#[derive(Debug, Clone)]
pub struct DistortedView {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// What the classifying layer reads: `[batch, features]`.
    pub features: Tensor<2>,
}

/// The three parts of [`DdgsdLoss`], `[1]` each, without their weights.
#[derive(Debug, Clone)]
pub struct DdgsdTerms {
    /// Both cross-entropies, averaged over the batch.
    pub ce: Tensor<1>,
    /// Both divergences with `tau^2`, averaged over the batch.
    pub kl: Tensor<1>,
    /// The discrepancy of the features.
    pub mmd: Tensor<1>,
}

impl DdgsdLoss {
    /// The weighted sum: `[1]`.
    pub fn forward(
        &self,
        first: DistortedView,
        second: DistortedView,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        let terms = self.terms(first, second, labels);
        terms.ce + terms.kl.mul_scalar(self.lambda) + terms.mmd.mul_scalar(self.mu)
    }

    /// The parts apart. Both views are of the same images, in the same order; `labels`: `[batch]`, each in `0..classes`.
    pub fn terms(
        &self,
        first: DistortedView,
        second: DistortedView,
        labels: Tensor<1, Int>,
    ) -> DdgsdTerms {
        assert_eq!(
            first.features.dims(),
            second.features.dims(),
            "the features of both views must have the same shape"
        );
        let (a, b) = (widen(first.logits), widen(second.logits));
        let ce = cross_entropy(a.clone(), labels.clone()).mean()
            + cross_entropy(b.clone(), labels).mean();
        let kl = self.kl.forward(a.clone(), b.clone()) + self.kl.forward(b, a);
        let mmd = (widen(first.features).mean_dim(0) - widen(second.features).mean_dim(0))
            .square()
            .sum();
        DdgsdTerms { ce, kl, mmd }
    }
}
