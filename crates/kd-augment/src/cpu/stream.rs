//! Writing past the cache.
//!
//! A batch of floats that is larger than the caches leaves them before anyone reads it. Writing it the usual way reads every line
//! from memory first, only to overwrite it: twice the traffic.

/// Copies floats past the cache. [`fence`] must follow before anything else touches them.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn copy(from: &[f32], to: &mut [f32]) {
    use super::isa::{Isa, isa};

    match isa() {
        // SAFETY: `isa` says that this machine has the instructions; the function has no other condition.
        #[allow(unsafe_code)]
        Isa::Avx512 => unsafe { copy_avx512(from, to) },
        _ => copy_sse(from, to),
    }
}

/// Defines a copy whose stores write `$lanes` floats to a multiple of their own size.
#[cfg(target_arch = "x86_64")]
macro_rules! copy_by {
    ($(#[$attribute:meta])* $name:ident, $lanes:literal, $load:ident, $store:ident) => {
        $(#[$attribute])*
        fn $name(from: &[f32], to: &mut [f32]) {
            use core::arch::x86_64::{$load, $store};

            let length = from.len().min(to.len());
            let head = to.as_ptr().align_offset(4 * $lanes).min(length);
            let blocks = (length - head) / $lanes;
            let tail = head + blocks * $lanes;
            to[..head].copy_from_slice(&from[..head]);
            for block in 0..blocks {
                let at = head + block * $lanes;
                let (from, to) = (&from[at..at + $lanes], &mut to[at..at + $lanes]);
                // SAFETY: both slices hold as many floats as one vector, and `to` begins at a multiple of the vector's size:
                // `head` is where the first one does.
                #[allow(unsafe_code)]
                unsafe {
                    $store(to.as_mut_ptr(), $load(from.as_ptr()));
                }
            }
            to[tail..length].copy_from_slice(&from[tail..length]);
        }
    };
}

#[cfg(target_arch = "x86_64")]
copy_by!(copy_sse, 4, _mm_loadu_ps, _mm_stream_ps);
#[cfg(target_arch = "x86_64")]
copy_by!(
    #[target_feature(enable = "avx512f")]
    copy_avx512,
    16,
    _mm512_loadu_ps,
    _mm512_stream_ps
);

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
        for start in 0..20 {
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
