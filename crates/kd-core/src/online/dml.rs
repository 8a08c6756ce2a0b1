use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{check_peers, mean_of, widened};
use crate::divergence::kl;
use crate::error::{CoreError, check_temperature};

/// Whom a peer of [`DmlLoss`] learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DmlTarget {
    /// Each other peer: the mean of the divergences (the paper, Eq. 7).
    Peers,
    /// The mean of the other peers' logits: one divergence (the default of a widely used implementation).
    MeanLogits,
}

/// Configuration of [`DmlLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct DmlLossConfig {
    /// Softmax temperature `tau` of all peers, in [1e-6, 1e6]. The original experiments take 1, the later comparisons 3.
    #[config(default = 3.0)]
    pub temperature: f64,
    /// Whom a peer learns from.
    #[config(default = "DmlTarget::Peers")]
    pub target: DmlTarget,
}

impl DmlLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the temperature is not in its range.
    pub fn init(&self) -> Result<DmlLoss, CoreError> {
        Ok(DmlLoss {
            temperature: check_temperature(self.temperature)?,
            target: self.target,
        })
    }
}

/// Deep mutual learning: for peer `j` among `J`, `tau^2 / (J - 1) sum_k KL(p_k || p_j)` over the others, at temperature `tau`.
///
/// From Zhang et al., "Deep Mutual Learning" (CVPR 2018), Eq. 7. The cross-entropy with the labels is not part of it. What a peer
/// learns from is a constant in its own loss, so the losses may be added and taken backward at once.
///
/// Made by [`DmlLossConfig`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DmlLoss {
    temperature: f32,
    target: DmlTarget,
}

impl DmlLoss {
    /// The loss of each peer, averaged over the batch.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, classes]` for each of two or more peers
    /// - output: `[1]` for each peer
    ///
    /// # Panics
    ///
    /// With fewer than two peers.
    pub fn forward(&self, logits: &[Tensor<2>]) -> Vec<Tensor<1>> {
        check_peers("logits", logits);
        let logits = &widened(logits);
        let scale = f64::from(self.temperature).powi(2);
        let term = |target: Tensor<2>, own: &Tensor<2>| {
            kl(target, own.clone(), self.temperature)
                .mean()
                .mul_scalar(scale)
        };
        let one = |(j, own): (usize, &Tensor<2>)| {
            let others: Vec<_> = logits
                .iter()
                .enumerate()
                .filter(|(k, _)| *k != j)
                .map(|(_, other)| other.clone())
                .collect();
            match self.target {
                DmlTarget::MeanLogits => term(mean_of(others.into_iter(), own), own),
                DmlTarget::Peers => {
                    let share = 1.0 / others.len() as f64;
                    let terms = others
                        .into_iter()
                        .map(|other| term(other, own).mul_scalar(share));
                    Tensor::cat(terms.collect(), 0).sum()
                }
            }
        };
        logits.iter().enumerate().map(one).collect()
    }
}
