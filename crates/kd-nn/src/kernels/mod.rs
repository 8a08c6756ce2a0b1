//! The arithmetic, on slices: nothing here knows Burn.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn, clippy::missing_safety_doc)]

pub(crate) mod batch_norm;
pub(crate) mod buffer;
pub(crate) mod conv;
pub(crate) mod fill;
pub(crate) mod geometry;
pub(crate) mod isa;
pub(crate) mod norm;
pub(crate) mod pack;
pub(crate) mod tile;
pub(crate) mod vector;
pub(crate) mod winograd;

#[cfg(test)]
mod tests;
