//! Convolution, batch norm and their group, for Burn: drop-in layers with Burn's parameters and records, fast on the CPU.
//!
//! ```
//! use burn::module::Module;
//! use burn::tensor::Tensor;
//! use kd_nn::{BatchNorm, Conv2d, Fused};
//!
//! /// A residual block, its fields named as any record names them.
//! #[derive(Module, Debug)]
//! struct Block {
//!     conv1: Conv2d,
//!     bn1: BatchNorm,
//!     conv2: Conv2d,
//!     bn2: BatchNorm,
//! }
//!
//! impl Block {
//!     fn forward(&self, x: Tensor<4>) -> Tensor<4> {
//!         Fused::new()
//!             .conv(&self.conv1)
//!             .norm(&self.bn1)
//!             .relu()
//!             .conv(&self.conv2)
//!             .norm(&self.bn2)
//!             .add_shortcut()
//!             .relu()
//!             .forward(x)
//!     }
//! }
//! ```
//!
//! With the feature `flex`, f32 tensors of Burn's `flex` backend go through kernels of this crate, with gradients of their own.
//! Every other backend and every other number type is Burn's own operation, so a network of these layers runs wherever Burn does.
//!
//! # How the kernels work
//!
//! - Activations lie in memory with channels innermost. That is a matter of strides: to Burn they are `[batch, channels, height,
//!   width]` tensors like any other, and every Burn operation takes them.
//! - A band of rows, or some small images, is copied into a scratch buffer that fits the second-level cache: padded with zeros, in
//!   blocks of sixteen channels, its columns split by their remainder modulo the stride. Batch norm and ReLU, or their backward
//!   pass, happen on the way. There, for any kernel, stride and dilation, the pixels that one tap meets are neighbours.
//! - Over it tiles are swept: up to 24 vectors of sixteen sums, held in registers for the whole sum.
//! - Convolutions of 3×3 and stride 1 with 32 channels or more take Winograd's F(2×2, 3×3), in all three passes.
//! - The gradient of the input is the same sweep over the gradient of the output, once for each remainder of rows and columns modulo
//!   the stride. That of the weights holds the weights of a tap for up to sixteen input channels in registers.
//! - In evaluation a sequence of convolutions is computed image by image, so that what lies between them stays in the cache.
//! - Bands, and the parts in which sums over the batch are taken, follow from the sizes alone: results are the same bits for any
//!   number of threads.
//! - Memory is kept and handed out again: a training step in steady state asks the system for none. [`release_memory`] gives it back.
//!
//! `KD_NN_ISA` = `avx512`, `avx2` or `portable` forbids instructions above it.

mod batch_norm;
mod conv2d;
pub mod custom;
#[cfg(feature = "flex")]
mod flex;
mod fused;
mod init;
#[cfg(feature = "flex")]
mod kernels;
mod layout;
mod maps;

pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use conv2d::{Conv2d, Conv2dConfig};
pub use fused::Fused;
pub use init::{Draw, Scheme, initialize};
pub use layout::channels_last;
pub use maps::{Arrangement, Pool, mean_pixels};

/// Gives the memory that the kernels keep for their next use back to the system. They keep what was in use, of each size as much as
/// at any one time, and at most 4 GiB; a program that has finished training and goes on to something else may want it.
pub fn release_memory() {
    #[cfg(feature = "flex")]
    kernels::buffer::release();
}
