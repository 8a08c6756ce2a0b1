//! Every loss against PyTorch, values and gradients; `tools/losses_golden.py` makes the fixture and says what it holds.
//!
//! Both sides compute in float64 from the same formulas. What remains between them is the rounding of sums and of products of
//! matrices, a few 1e-14 of the largest term, which divisions by small norms enlarge: the bound is 1e-9 of the value (or of the largest
//! number of a gradient) plus 1e-12. Where a test states another, it says why.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod crd;
mod features;
mod harness;
mod logits;
mod online;
mod own;
mod relations;

const PRECISION: harness::Precision = harness::Precision {
    inputs: burn::tensor::DType::F64,
    bound: 1e-9,
    least: 1e-12,
};
