//! Divergence of a model from what people answer.

use burn::prelude::*;

use crate::error::{MetricError, is_distribution};
use kd_core::divergence::kl_probs;

/// Name of these rows in errors.
const WHAT: &str = "the human labels";

/// Columns `[B, 3]`: KL(human‖model) in nats, and what [`check`] needs to trust it: the smallest value and the sum of the human row.
///
/// KL(h‖q) = Σ_c h_c · (ln h_c − ln q_c) with 0 · ln 0 = 0. This direction is finite whenever the model gives every class some probability; the other
/// one is infinite as soon as no person chose a class, which is so for nearly every image of CIFAR-10H.
pub(crate) fn columns(human: Tensor<2>, log_probs: Tensor<2>) -> Tensor<2> {
    let lowest = human.clone().min_dim(1);
    let sum = human.clone().sum_dim(1);
    let divergence = kl_probs(human, log_probs).unsqueeze_dim(1);
    Tensor::cat(vec![divergence, lowest, sum], 1)
}

/// The divergence of one sample from its [`columns`].
pub(crate) fn check(columns: &[f32], row: usize) -> Result<f64, MetricError> {
    let [divergence, lowest, sum] = [0, 1, 2].map(|column| f64::from(columns[column]));
    if is_distribution(lowest, sum) {
        Ok(divergence)
    } else {
        Err(MetricError::Distribution {
            what: WHAT,
            row,
            lowest,
            sum,
        })
    }
}
