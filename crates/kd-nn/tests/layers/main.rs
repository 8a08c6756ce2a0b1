//! The layers against Burn's own, one by one: values, gradients, records, misuse.
//!
//! Both sides compute in f32. Tolerances are shares of the largest element: 1e-5 for a convolution, whose sums lose about 1e-6;
//! 2e-5 for the values of a sequence and 2e-4 for its gradients, since several layers add up and batch norm divides differences.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod convolutions;
mod misuse;
mod net;
mod norms;
mod records;
mod sequences;
mod views;
