//! Half precision, f16 and bf16: a divergence computes in float32 what the numbers are. (Losses:
//! `samples.rs`, and `crates/kd/tests/losses/half.rs`.)
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::*;
use kd_core::divergence;

#[test]
fn divergences_compute_half_precision_in_single() {
    for half in [DType::F16, DType::BF16] {
        let input = |phase| numbers(3, CLASSES, 1.5, phase);
        let narrow = |phase| rows(&input(phase), CLASSES, &Device::flex()).cast(half);
        let wide = |phase| narrow(phase).cast(DType::F32);
        let same = |found: Tensor<1>, expected: Tensor<1>| {
            assert_eq!(found.dtype(), DType::F32);
            assert_eq!(host(found), host(expected));
        };
        same(
            divergence::entropy(narrow(0.2), 4.0),
            divergence::entropy(wide(0.2), 4.0),
        );
        let expected = divergence::kl(wide(0.2), wide(1.1), 4.0);
        same(
            divergence::kl(narrow(0.2), narrow(1.1), 4.0),
            expected.clone(),
        );
        same(
            divergence::kl(wide(0.2), narrow(1.1), 4.0),
            expected.clone(),
        );
        same(divergence::kl(narrow(0.2), wide(1.1), 4.0), expected);
        let p = divergence::softmax(wide(0.2), 1.0).cast(half);
        let wide_p = p.clone().cast(DType::F32);
        let expected = divergence::kl_probs(wide_p.clone(), wide(1.1));
        same(
            divergence::kl_probs(p.clone(), narrow(1.1)),
            expected.clone(),
        );
        same(divergence::kl_probs(wide_p.clone(), narrow(1.1)), expected);
        same(
            divergence::soft_cross_entropy(p, narrow(1.1)),
            divergence::soft_cross_entropy(wide_p, wide(1.1)),
        );
    }
}
