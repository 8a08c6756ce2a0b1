//! The arithmetic, on slices: nothing here knows Burn.
//!
//! The only `unsafe` code of the crate, but for two pointers in `flex` that point into buffers of this module. What it rests on:
//! - **Instructions.** A function of a set of instructions is reached through [`isa::Kernels`] alone, and a table of a set is handed
//!   out only where the machine was seen to have it.
//! - **Sizes.** Kernels take pointers. The functions that call them take slices, and check every length against the sizes of the
//!   convolution before the first pointer is made. What no channel or pixel stands for is masked, or lies in a scratch buffer of
//!   this module that is large enough.
//! - **Sharing.** Tasks write through shared pointers: bands and spans of pixels, which do not overlap, or buffers of their own.
//!
//! Sums in registers are arrays that loops with constant bounds walk; iterators and closures would not stay in registers under every
//! set of instructions.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn)]
#![allow(clippy::missing_safety_doc, clippy::needless_range_loop)]

pub(crate) mod arrange;
pub(crate) mod batch_norm;
pub(crate) mod buffer;
pub(crate) mod conv;
pub(crate) mod fill;
pub(crate) mod geometry;
pub(crate) mod isa;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod pack;
pub(crate) mod pool;
pub(crate) mod tile;
pub(crate) mod vector;
pub(crate) mod winograd;

#[cfg(test)]
mod tests;
