//! The gradient of every loss against central finite differences in float64.
//!
//! With the step h = 1e-5 the difference quotient is off by h^2/6 f''' and by rounding, a few times 1e-16 |f| / h. Values here are at
//! most 16, which rounds to about 1e-10, and third derivatives below 500 (those of batch norm over three numbers and of vectors of four
//! pixels that are scaled to norm 1), which makes 8e-9: the bound is 1e-8, and 1e-8 of the largest derivative where that is above 1. Within
//! a step of a kink (ReLU, an absolute value, a margin) the quotient would be off by half of the jump: the inputs are formulas that meet
//! none, and one that did would fail.
//!
//! Where a loss takes its target from its own input and holds it constant, the quotient is that of the loss with the target held.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod crd;
mod features;
mod harness;
mod logits;
mod online;
mod own;
mod relations;
