//! Every loss of inputs in half precision, f16, against the same fixture as `golden`.
//!
//! A loss computes in float32, so what half precision costs is the rounding of the inputs, by up to
//! 5e-4 of each number. Differences of inputs, norms of a few of them and ReLUs that change sides
//! enlarge that in gradients to as much as 2.6e-2 of the largest number: the bound is 3e-2. That
//! nothing else is lost is what the test `half` shows, bit by bit.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

#[path = "../golden/crd.rs"]
mod crd;
#[path = "../golden/features.rs"]
mod features;
#[path = "../golden/harness.rs"]
mod harness;
#[path = "../golden/logits.rs"]
mod logits;
#[path = "../golden/online.rs"]
mod online;
#[path = "../golden/own.rs"]
mod own;
#[path = "../golden/relations.rs"]
mod relations;

const PRECISION: harness::Precision = harness::Precision {
    inputs: burn::tensor::DType::F16,
    bound: 3e-2,
    least: 1e-4,
};
