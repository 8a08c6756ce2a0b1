use burn::tensor::Tensor;

use super::{check_peers, widened};
use crate::divergence::constant_like;

/// Maximum mean discrepancy between the features of peers, with the linear kernel: for peer `j` among `J`,
/// `1 / (J - 1) sum_k || mean_i f_j,i - mean_i f_k,i ||^2` over the others, means over the batch.
///
/// From Shen et al., "Mixed Sample Augmentation for Online Distillation", Eq. 9. Means are compared, not samples: peers may be shown
/// different distortions of the images. What a peer is compared with is a constant in its own loss.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MmdLoss;

impl MmdLoss {
    /// The loss of each peer.
    ///
    /// # Shapes
    ///
    /// - `features`: `[batch, features]` for each of two or more peers
    /// - output: `[1]` for each peer
    ///
    /// # Panics
    ///
    /// With fewer than two peers.
    pub fn forward(&self, features: &[Tensor<2>]) -> Vec<Tensor<1>> {
        check_peers("features", features);
        let features = widened(features).into_iter();
        let means: Vec<_> = features.map(|f| f.mean_dim(0)).collect();
        let share = 1.0 / (means.len() - 1) as f64;
        let one = |(j, own): (usize, &Tensor<2>)| {
            let distances = means
                .iter()
                .enumerate()
                .filter(|(k, _)| *k != j)
                .map(|(_, other)| {
                    let other = constant_like(other.clone(), own);
                    (own.clone() - other).square().sum().mul_scalar(share)
                });
            Tensor::cat(distances.collect(), 0).sum()
        };
        means.iter().enumerate().map(one).collect()
    }
}
