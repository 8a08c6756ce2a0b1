//! Small functions that several losses share, finite with finite gradients where the textbook formula is 0/0.

use burn::tensor::{Bool, DType, Tensor};
use kd_nn::custom::{Dense, matmul, with_backward};

/// Squares of norms below this count as zero: the square of the 1e-12 that `torch.nn.functional.normalize` divides by at least.
const ZERO: f64 = 1e-24;

/// The least squared distance, as in the public code of what is compared by distances.
pub(crate) const LEAST: f64 = 1e-12;

/// How many units in the last place two numbers may be apart that are the same but for the order of
/// summation.
const UNITS: f64 = 16.0;

/// Whether what is left of numbers, by the sum of squares, is nothing but their rounding. Of NaN it
/// is not.
pub(crate) fn is_rounding<const D: usize>(rest: Tensor<D>, numbers: Tensor<D>) -> Tensor<D, Bool> {
    let unit = match numbers.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    rest.lower_equal(numbers.mul_scalar((UNITS * unit).powi(2)))
}

/// Embeddings of the same images.
pub(crate) fn assert_same_batch(student: &Tensor<2>, teacher: &Tensor<2>) {
    assert_eq!(
        student.dims()[0],
        teacher.dims()[0],
        "the student's and the teacher's embeddings must be of the same batch"
    );
}

/// `x / ||x||` along `dim`; a vector shorter than 1e-12 becomes zero and receives no gradient.
pub(crate) fn normalize<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    let inverse = inverse_norm(x.clone(), dim);
    x * inverse
}

/// `1 / ||x||` along `dim`, or 0 where the norm is below 1e-12: `dim` becomes 1.
pub(crate) fn inverse_norm<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    inverse_root(x.square().sum_dim(dim))
}

/// `1 / sqrt(x)`, or 0 where `x` is below 1e-24.
pub(crate) fn inverse_root<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let zero = x.clone().lower_elem(ZERO);
    x.mask_fill(zero.clone(), 1.0)
        .sqrt()
        .recip()
        .mask_fill(zero, 0.0)
}

/// `||x||` along `dim`, with gradient 0 where it is 0: `dim` becomes 1.
pub(crate) fn norm<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    root(x.square().sum_dim(dim))
}

/// `sqrt(x)`, with gradient 0 where `x` is below 1e-24.
pub(crate) fn root<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let zero = x.clone().lower_elem(ZERO);
    x.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

/// Inner products of all rows: `[batch, features]` -> `[batch, batch]`.
pub(crate) fn gram(x: Tensor<2>) -> Tensor<2> {
    matmul(x.clone(), x.transpose())
}

/// `||x_i - x_j||^2`, at least 1e-12 and 0 on the diagonal: `[batch, features]` -> `[batch, batch]`.
///
/// Rows that are equal up to rounding are 1e-12 apart, without gradient. The rows are centred
/// first, which changes no distance and keeps `|x_i|^2 + |x_j|^2 - 2 x_i x_j` from cancelling.
pub(crate) fn squared_distances(x: Tensor<2>) -> Tensor<2> {
    let from_plain = |x: Tensor<2>| {
        let centred = x.clone() - x.mean_dim(0);
        let squares = centred.clone().square().sum_dim(1);
        squares.clone() + squares.transpose() - gram(centred).mul_scalar(2.0)
    };
    let sizes = sizes(&x);
    let squared = if Dense::of(&x).is_some() {
        let own = x.clone().without_autodiff();
        with_backward(x, from_plain(own.clone()), move |gradient| {
            // Of x_i it is 2 sum_j s_ij (x_i - x_j), s the gradient made symmetric.
            let both = gradient.clone() + gradient.transpose();
            let sums = both.clone().sum_dim(1);
            (own.clone() * sums - matmul(both, own.clone())).mul_scalar(2.0)
        })
    } else {
        from_plain(x)
    };
    let diagonal = diagonal(squared.dims()[0], &squared);
    let close = squared
        .clone()
        .lower_elem(LEAST)
        .bool_or(is_rounding(squared.clone().without_autodiff(), sizes));
    squared.mask_fill(close, LEAST).mask_fill(diagonal, 0.0)
}

/// `|x_i|^2 + |x_j|^2` as a constant, to which a squared distance is compared: `[batch, features]`
/// -> `[batch, batch]`.
pub(crate) fn sizes(x: &Tensor<2>) -> Tensor<2> {
    let squares = x.clone().without_autodiff().square().sum_dim(1);
    squares.clone() + squares.transpose()
}

/// The diagonal of a square matrix on the device of `like`.
pub(crate) fn diagonal(size: usize, like: &Tensor<2>) -> Tensor<2, Bool> {
    // Burn's mask is false on the diagonal.
    Tensor::<2, Bool>::diag_mask([size, size], 0, &like.device()).bool_not()
}

/// Huber's function with threshold 1: `d^2 / 2` up to `|d| = 1`, `|d| - 1/2` beyond.
pub(crate) fn smooth_l1<const D: usize>(difference: Tensor<D>) -> Tensor<D> {
    // With q = min(|d|, 1) it is q (|d| - q / 2), and its gradient is q sign(d).
    let magnitude = difference.abs();
    let inside = magnitude.clone().clamp_max(1.0);
    inside.clone() * (magnitude - inside.mul_scalar(0.5))
}

/// The mean of the squares of all elements: `[1]`.
pub(crate) fn mean_square<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    x.square().mean()
}

/// The mean over everything but the first dimension: `[batch]`.
pub(crate) fn mean_per_sample<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    x.flatten_all().mean_dim(1).squeeze_dim(1)
}

trait FlattenAll {
    fn flatten_all(self) -> Tensor<2>;
}

impl<const D: usize> FlattenAll for Tensor<D> {
    fn flatten_all(self) -> Tensor<2> {
        let dims = self.dims();
        self.reshape([dims[0], dims[1..].iter().product()])
    }
}
