//! The sums over an image's negatives, by the kernel where there is one and by tensor operations elsewhere.

use burn::tensor::{Tensor, TensorData};
use kd_nn::custom::Dense;

use super::{Negatives, kernel};

/// `sum_k log(1 + exp(score_k + shift))` of each image, `[batch, 1]`, and its derivative with respect to the scores.
pub(super) fn soft_plus(
    scores: Tensor<2>,
    negatives: &Negatives,
    shift: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    if Dense::of(&scores).is_some() {
        let on_host = shift.clone().into_scalar::<f32>();
        if let Some(sums) = kernel::soft_plus(&scores, negatives, on_host) {
            return (column(sums.values, &scores), sums.to_scores);
        }
    }
    let weights = weights(&scores, negatives);
    let log_ratios = scores + shift;
    let slopes = log_ratios.clone().neg().exp().add_scalar(1.0).recip();
    (
        (soft_plus_of(log_ratios) * weights.clone()).sum_dim(1),
        slopes * weights,
    )
}

/// `log(1 + exp(x))`, without overflow.
pub(super) fn soft_plus_of(x: Tensor<2>) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}

/// The largest score of the negatives of each image: `[batch, 1]`.
pub(super) fn largest(scores: &Tensor<2>, negatives: &Negatives) -> Tensor<2> {
    match kernel::largest(scores, negatives) {
        Some(largest) => column(largest, scores),
        None => {
            let others = weights(scores, negatives).equal_elem(0.0);
            scores
                .clone()
                .mask_fill(others, f32::NEG_INFINITY)
                .max_dim(1)
        }
    }
}

/// `sum_k exp(score_k + shift)` of each image, `[batch, 1]`, and its derivative with respect to the scores.
pub(super) fn exponential(
    scores: Tensor<2>,
    negatives: &Negatives,
    shift: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    if Dense::of(&scores).is_some() {
        let shifts: Vec<f32> = shift.clone().into_data().iter().collect();
        if let Some(sums) = kernel::exponential(&scores, negatives, &shifts) {
            return (column(sums.values, &scores), sums.to_scores);
        }
    }
    let slopes = (scores.clone() + shift).exp() * weights(&scores, negatives);
    (slopes.clone().sum_dim(1), slopes)
}

/// How often each candidate is a negative of each image: `[batch, candidates]`.
fn weights(scores: &Tensor<2>, negatives: &Negatives) -> Tensor<2> {
    let data = TensorData::new(negatives.weights(), scores.dims());
    Tensor::from_data(data, (&scores.device(), scores.dtype()))
}

fn column(values: Vec<f32>, like: &Tensor<2>) -> Tensor<2> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len, 1]), &like.device())
}
