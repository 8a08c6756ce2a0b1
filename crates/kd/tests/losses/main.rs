//! What losses have in common, as loops over the terms of `Terms::standard`: a loss that is added
//! is tested.
//!
//! In float32 a log-probability of logits within +-30 is rounded to about 4e-6, and a divergence
//! sums them weighted with probabilities, so it is exact to about 1e-5 absolutely; that is the
//! bound where two ways to the same number are compared. A loss multiplies it by its weights and by
//! tau^2.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/alone.rs"]
mod alone;
mod catalogue;
mod constants;
mod extremes;
mod half;
mod invariances;
mod poison;
mod properties;

use kd::burn::tensor::{DType, Device};

const DTYPE: DType = DType::F32;

fn device() -> Device {
    Device::flex()
}
