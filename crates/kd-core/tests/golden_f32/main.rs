//! The losses of maps and embeddings against the same fixture as `golden`, in float32: on the CPU that is another way, the kernels, which
//! read maps as they lie, pixels or channels innermost.
//!
//! Sums of up to 64,000 numbers of order 1, squared and divided by norms, keep about four digits: the bound is 2e-4 of the largest number
//! of a gradient, plus 2e-6.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

#[path = "../golden/crd.rs"]
mod crd;
#[path = "../golden/features.rs"]
mod features;
#[path = "../golden/harness.rs"]
mod harness;
#[path = "../golden/relations.rs"]
mod relations;

const PRECISION: harness::Precision = harness::Precision {
    inputs: burn::tensor::DType::F32,
    bound: 2e-4,
    least: 2e-6,
};
