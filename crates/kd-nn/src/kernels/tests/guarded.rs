//! Memory between unreadable pages.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use crate::kernels::batch_norm::Scaling;

/// What lies next to the unreadable page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    End,
    Start,
}

pub(super) const SIDES: [Side; 2] = [Side::End, Side::Start];

/// Numbers between two pages that nobody may touch: directly before the second, or directly behind the first.
pub(super) struct Guarded {
    pub(super) map: *mut libc::c_void,
    pub(super) bytes: usize,
    pub(super) data: *mut f32,
    pub(super) len: usize,
}

impl Guarded {
    pub(super) fn new(values: &[f32], side: Side) -> Self {
        // SAFETY: a fresh mapping of whole pages, of which the first and the last are closed, and the rest holds the numbers.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let size = size_of_val(values);
            let room = size.next_multiple_of(page);
            let bytes = room + 2 * page;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let map = libc::mmap(std::ptr::null_mut(), bytes, access, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(map, page, libc::PROT_NONE), 0);
            let last = map.byte_add(page + room);
            assert_eq!(libc::mprotect(last, page, libc::PROT_NONE), 0);
            let data: *mut f32 = match side {
                Side::End => last.byte_sub(size).cast(),
                Side::Start => map.byte_add(page).cast(),
            };
            std::ptr::copy_nonoverlapping(values.as_ptr(), data, values.len());
            Self {
                map,
                bytes,
                data,
                len: values.len(),
            }
        }
    }

    /// To be written: what is not shows as NaN.
    pub(super) fn unwritten(len: usize, side: Side) -> Self {
        Self::new(&vec![f32::NAN; len], side)
    }

    /// The numbers as the vector that a [`Scaling`] holds.
    pub(super) fn vector(&self) -> Vec<f32> {
        // SAFETY: never freed, for it is `ManuallyDrop`'s, nor grown, for a `Scaling` is only read.
        unsafe { Vec::from_raw_parts(self.data, self.len, self.len) }
    }
}

impl Deref for Guarded {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the mapping holds `len` floats there.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's.
        unsafe {
            libc::munmap(self.map, self.bytes);
        }
    }
}

/// A guarded scaling, and the memory that it looks at.
pub(super) struct GuardedScaling {
    pub(super) scaling: ManuallyDrop<Scaling>,
    pub(super) _memory: [Guarded; 2],
}

impl GuardedScaling {
    pub(super) fn new(scale: &[f32], shift: &[f32], side: Side) -> Self {
        let memory = [scale, shift].map(|values| Guarded::new(values, side));
        let scaling = Scaling {
            scale: memory[0].vector(),
            shift: memory[1].vector(),
        };
        Self {
            scaling: ManuallyDrop::new(scaling),
            _memory: memory,
        }
    }
}
