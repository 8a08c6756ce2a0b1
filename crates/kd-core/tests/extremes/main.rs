//! Inputs at the ends: huge logits, zeros, constants, one sample, two classes. A loss is the number
//! that the formula gives, where that can be written down. (That every loss is finite:
//! `crates/kd/tests/losses`.)
//!
//! Such a number is a few operations away from the inputs: the bound is 1e-5 of it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod logits;
mod maps;
mod relations;

use burn::tensor::{Device, Int, Tensor};
use common::number;

const HUGE: f32 = 1e4;

#[track_caller]
fn close(found: Tensor<1>, expected: f64) {
    let found = number(found);
    let distance = (found - expected).abs();
    assert!(
        distance <= 1e-5 * expected.abs() + 1e-7,
        "{found} instead of {expected}"
    );
}

fn matrix<const B: usize, const C: usize>(rows: [[f32; C]; B]) -> Tensor<2> {
    Tensor::from_data(rows, &Device::flex())
}

fn classes<const B: usize>(labels: [i64; B]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex())
}
