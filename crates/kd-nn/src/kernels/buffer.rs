//! Memory that is kept and handed out again, so that a training loop in steady state asks the system for none and touches no page
//! for the first time.
//!
//! Sizes are rounded up by at most an eighth. A buffer goes back to the pool when it is dropped; the pool keeps at most
//! [`KEPT_BYTES`], and frees what comes back beyond that.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Of every buffer, in bytes: a cache line and a vector.
pub(crate) const ALIGNMENT: usize = 64;

/// What the pool holds at most.
const KEPT_BYTES: usize = 4 << 30;

#[derive(Default)]
struct Pool {
    free: HashMap<usize, Vec<Buffer>>,
    bytes: usize,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// Aligned memory for f32 numbers. What a new one holds is whatever its last owner left, or zeros.
pub(crate) struct Buffer {
    data: NonNull<f32>,
    /// Floats.
    capacity: usize,
}

// SAFETY: a buffer owns its memory, like a `Vec<f32>`.
#[allow(unsafe_code)]
unsafe impl Send for Buffer {}
// SAFETY: as above; a shared reference only reads.
#[allow(unsafe_code)]
unsafe impl Sync for Buffer {}

/// The capacity handed out for `floats`: the next number of the form (8 + k) · 2ⁿ.
fn rounded(floats: usize) -> usize {
    let floats = floats.max(256);
    let step = (floats.ilog2() - 3).max(4);
    floats.div_ceil(1 << step) << step
}

impl Buffer {
    /// At least `floats` floats.
    pub(crate) fn new(floats: usize) -> Self {
        let capacity = rounded(floats);
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pool.get_or_insert_default();
        if let Some(buffer) = pool.free.get_mut(&capacity).and_then(Vec::pop) {
            pool.bytes -= buffer.bytes();
            return buffer;
        }
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is not 0.
        #[allow(unsafe_code)]
        let data = unsafe { alloc_zeroed(layout) };
        match NonNull::new(data.cast()) {
            Some(data) => Self { data, capacity },
            None => handle_alloc_error(layout),
        }
    }

    fn free(self) {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: allocated with this layout in `new`; whoever calls this is its only owner, and it is not dropped.
        #[allow(unsafe_code)]
        unsafe {
            dealloc(this.data.as_ptr().cast(), Self::layout(this.capacity));
        }
    }

    fn layout(capacity: usize) -> Layout {
        // Sizes come from tensors that exist; `from_size_align` fails only beyond half of the address space.
        #[allow(clippy::expect_used)]
        Layout::from_size_align(capacity * size_of::<f32>(), ALIGNMENT)
            .expect("a size below isize::MAX")
    }

    pub(crate) fn bytes(&self) -> usize {
        self.capacity * size_of::<f32>()
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.data.as_ptr()
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: the memory is this buffer's, `capacity` floats of it, and was zeroed when it was allocated.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.data.as_ptr(), self.capacity)
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as `as_slice`, and the borrow is exclusive.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.data.as_ptr(), self.capacity)
        }
    }
}

/// Gives back to the system what the pool holds.
pub(crate) fn release() {
    let pool = POOL.lock().unwrap_or_else(PoisonError::into_inner).take();
    for buffer in pool
        .into_iter()
        .flat_map(|pool| pool.free.into_values().flatten())
    {
        buffer.free();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pool.get_or_insert_default();
        let bytes = self.bytes();
        if pool.bytes + bytes <= KEPT_BYTES {
            pool.bytes += bytes;
            let kept = Self {
                data: self.data,
                capacity: self.capacity,
            };
            pool.free.entry(self.capacity).or_default().push(kept);
            return;
        }
        // The copy is freed, and this one, being dropped, is not looked at again.
        Self {
            data: self.data,
            capacity: self.capacity,
        }
        .free();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_an_eighth_at_most() {
        for floats in (256..200_000).step_by(97) {
            let capacity = rounded(floats);
            assert!(
                capacity >= floats && capacity * 8 <= floats * 9 + 128,
                "{floats} -> {capacity}"
            );
        }
    }

    #[test]
    fn a_dropped_buffer_is_handed_out_again() {
        let floats = 777_777;
        let mut first = Buffer::new(floats);
        first.as_mut_slice()[5] = 3.0;
        let address = first.as_ptr();
        drop(first);
        let second = Buffer::new(floats);
        assert_eq!(second.as_ptr(), address);
        assert_eq!(second.as_ptr() as usize % ALIGNMENT, 0);
    }
}
