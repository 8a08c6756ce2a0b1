//! What feature losses do with every number of a map, on the CPU: each map is read once forward and once backward.
//!
//! Written with tensor operations the same losses go through memory ten times, in temporaries that the system hands out page by page.
//! Each function takes maps of equal shape, student first, whose teacher is a constant, and returns `None` for tensors that are not f32
//! on the CPU: the caller then takes the tensor operations. A row is computed by one thread, from first to last: results do not
//! depend on the number of threads.

mod energy;
mod pointwise;
mod products;
mod selectivity;
mod windows;

pub(crate) use energy::{energy, leaky_relu};
pub(crate) use pointwise::{Boundary, SquaredDifference, mean_pointwise, mean_squares_per_channel};
pub(crate) use products::{gram, own_products, products};
pub(crate) use selectivity::selectivity;
pub(crate) use windows::mean_of_windows;

use burn::tensor::Tensor;
use kd_nn::custom::Dense;

/// Sums that a row is gathered in, for the compiler to hold in registers.
const LANES: usize = 16;

/// The numbers of a gradient in the order in which a map has them: where they are, if they are in that order.
enum Ordered {
    There(Dense),
    Copied(Vec<f32>),
}

fn in_order(gradient: Tensor<4>, channels_last: bool) -> Ordered {
    match Dense::of(&gradient) {
        Some(dense) if dense.channels_last() == channels_last => Ordered::There(dense),
        _ if channels_last => Ordered::Copied(numbers(gradient.permute([0, 2, 3, 1]))),
        _ => Ordered::Copied(numbers(gradient)),
    }
}

impl std::ops::Deref for Ordered {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::There(dense) => dense,
            Self::Copied(numbers) => numbers,
        }
    }
}

/// The numbers of a small gradient, on the host.
fn numbers<const D: usize>(gradient: Tensor<D>) -> Vec<f32> {
    gradient.into_data().iter::<f32>().collect()
}
