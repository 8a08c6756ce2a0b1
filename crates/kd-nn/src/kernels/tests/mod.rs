//! Every set of instructions that this machine has, against loops in f64, on memory that ends or begins at an unreadable page.
//!
//! Numbers are multiples of 1/64 below 1, so batch norm's sums and products of two of them are exact in f32 and no ReLU's gate depends
//! on rounding. Tolerance: 1e-5 of the largest element of a result. Its sums have up to 3 000 terms, of which f32 loses
//! `√3000 · 6e-8` of the largest at random, in parts and by several sums at once less.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod case;
mod convolutions;
mod guarded;
mod matmul;
mod norms;

use super::isa::{Isa, Kernels, kernels_of};

const TOLERANCE: f64 = 1e-5;

/// The sets that this machine has; the portable one is always there.
fn sets() -> Vec<(Isa, &'static Kernels)> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter_map(|isa| Some((isa, kernels_of(isa)?)))
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
