//! What holds for any inputs.
//!
//! In float32 a log-probability of logits within +-30 is rounded to about 4e-6, and a divergence sums them weighted with
//! probabilities, so it is exact to about 1e-5 absolutely; that is the bound where two ways to the same number are compared. A loss
//! multiplies it by its weights and by tau^2. Where a property is one of the formula and not of its rounding, numbers are of 64 bits.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod divergences;
mod ensembles;
mod invariances;
mod kernels;
mod limits;

use proptest::prelude::ProptestConfig;

const ROUNDING: f32 = 2e-5;

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
