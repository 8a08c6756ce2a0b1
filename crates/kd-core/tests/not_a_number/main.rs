//! A number that is not a number shows: in the value of a loss, or in its gradient. In float32, by
//! the kernels of the CPU, in both orders of memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod poison;

use burn::tensor::{DType, Device};

const DTYPE: DType = DType::F32;

fn device() -> Device {
    Device::flex()
}
