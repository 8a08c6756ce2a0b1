//! The convolution and its two gradients over whole activations, in tasks that do not depend on the number of threads.
//!
//! A task is a band: some rows of one image, or some whole images. It copies the pixels that it needs into a padded scratch buffer
//! that fits the second-level cache ([`super::fill`]), and sweeps tiles over it. All activations here are dense with channels
//! innermost: `[batch, height, width, channels]`.

mod backward;
mod bands;
mod forward;
mod input_gradient;
mod sweep;
mod weight_gradient;

pub(crate) use backward::Backward;
#[cfg(test)]
pub(crate) use bands::bands;
pub(crate) use bands::{SCRATCH, TOGETHER};
pub(crate) use forward::Forward;

/// A pointer that tasks share. Every task writes a part of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) T);

// SAFETY: the functions that build one see to it that no two tasks touch the same memory, or that all only read it.
#[allow(unsafe_code)]
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    pub(crate) fn get(&self) -> T {
        self.0
    }
}
