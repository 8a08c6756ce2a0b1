//! Writing past the cache.
//!
//! A batch of floats that is larger than the caches leaves them before anyone reads it. Writing it the usual way reads every line
//! from memory first, only to overwrite it: twice the traffic.

/// Copies floats past the cache. [`fence`] must follow before another thread reads them.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn copy(from: &[f32], to: &mut [f32]) {
    use core::arch::x86_64::{_mm_loadu_ps, _mm_stream_ps};

    const LANES: usize = 4;
    let length = from.len().min(to.len());
    let head = to.as_ptr().align_offset(16).min(length);
    let blocks = (length - head) / LANES;
    let tail = head + blocks * LANES;
    to[..head].copy_from_slice(&from[..head]);
    for block in 0..blocks {
        let at = head + block * LANES;
        let (from, to) = (&from[at..at + LANES], &mut to[at..at + LANES]);
        // SAFETY: both slices hold four floats, and `to` begins at a multiple of 16 bytes: `head` is where the first one does.
        #[allow(unsafe_code)]
        unsafe {
            _mm_stream_ps(to.as_mut_ptr(), _mm_loadu_ps(from.as_ptr()));
        }
    }
    to[tail..length].copy_from_slice(&from[tail..length]);
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn copy(from: &[f32], to: &mut [f32]) {
    to.copy_from_slice(from);
}

/// Makes what was copied past the cache visible before what is written next.
#[inline]
pub(super) fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 machine has the instruction.
    #[allow(unsafe_code)]
    unsafe {
        core::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alignment_and_length_is_copied() {
        let from: Vec<f32> = (0..64).map(|i| i as f32).collect();
        for start in 0..9 {
            for length in 0..40 {
                let mut to = vec![-1.0; 64];
                copy(&from[..length], &mut to[start..start + length]);
                fence();
                assert_eq!(to[start..start + length], from[..length]);
                let rest = to[..start].iter().chain(&to[start + length..]);
                assert!(rest.copied().all(|value| value == -1.0));
            }
        }
    }
}
