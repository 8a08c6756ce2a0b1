//! Negative log-likelihood of the true class.

use burn::prelude::*;

/// −ln q_y in nats for each sample, from log-probabilities `[B, C]` and labels `[B, 1]`: `[B, 1]`.
pub(crate) fn negative_log_likelihood(log_probs: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<2> {
    log_probs.gather(1, labels).neg()
}
