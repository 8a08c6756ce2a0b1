//! Sixteen f32 lanes, as each set of instructions holds them.
//!
//! Every method is `unsafe` for one reason each: pointers must be valid for the lanes that are read or written, and the methods of
//! a vector may run only where its instructions exist. Both are the caller's to see to; [`super::isa`] is the only caller that
//! chooses a vector.

/// Lanes in a vector, and channels in a block.
pub(crate) const LANES: usize = 16;

/// Sixteen f32 lanes.
pub(crate) trait Vector: Copy {
    /// All lanes 0.
    unsafe fn zero() -> Self;
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self;
    /// Sixteen lanes from `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `n` lanes from `from`, the others 0. Reads nothing behind them.
    unsafe fn load_first(from: *const f32, n: usize) -> Self;
    /// Sixteen lanes to `to`.
    unsafe fn store(self, to: *mut f32);
    /// The first `n` lanes to `to`. Writes nothing behind them.
    unsafe fn store_first(self, to: *mut f32, n: usize);
    /// `self * by + to`, rounded once.
    unsafe fn mul_add(self, by: Self, to: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `max(self, 0)`, with NaN kept.
    unsafe fn relu(self) -> Self;
    /// `self` where `gate` is above 0 or NaN, otherwise 0.
    unsafe fn where_positive(self, gate: Self) -> Self;
}

/// Arrays that the compiler may lay into whatever registers the target has.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            out[i] = op(self.0[i], other.0[i]);
        }
        Self(out)
    }
}

impl Vector for Portable {
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; LANES])
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(from.cast::<[f32; LANES]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        let mut out = [0.0; LANES];
        core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), n);
        Self(out)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; LANES]>().write_unaligned(self.0);
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        core::ptr::copy_nonoverlapping(self.0.as_ptr(), to, n);
    }
    /// Rounds twice: a fused form without the instruction is a call into the C library for every lane.
    #[inline(always)]
    unsafe fn mul_add(self, by: Self, to: Self) -> Self {
        self.zip(by, |a, b| a * b).zip(to, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.zip(self, |a, _| if a < 0.0 { 0.0 } else { a })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        self.zip(gate, |a, gate| if gate <= 0.0 { 0.0 } else { a })
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::{LANES, Vector};

    /// Two registers of eight lanes. Needs `avx2` and `fma`.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256, __m256);

    /// The mask of `_mm256_maskload_ps` for `n` lanes of eight.
    #[inline(always)]
    unsafe fn first(n: usize) -> __m256i {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lanes)
    }

    impl Vector for Avx2 {
        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(_mm256_setzero_ps(), _mm256_setzero_ps())
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            let x = _mm256_set1_ps(x);
            Self(x, x)
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, n: usize) -> Self {
            Self(
                _mm256_maskload_ps(from, first(n)),
                _mm256_maskload_ps(from.wrapping_add(8), first(n.saturating_sub(8))),
            )
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, n: usize) {
            _mm256_maskstore_ps(to, first(n), self.0);
            _mm256_maskstore_ps(to.wrapping_add(8), first(n.saturating_sub(8)), self.1);
        }
        #[inline(always)]
        unsafe fn mul_add(self, by: Self, to: Self) -> Self {
            Self(
                _mm256_fmadd_ps(self.0, by.0, to.0),
                _mm256_fmadd_ps(self.1, by.1, to.1),
            )
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(
                _mm256_add_ps(self.0, other.0),
                _mm256_add_ps(self.1, other.1),
            )
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(
                _mm256_sub_ps(self.0, other.0),
                _mm256_sub_ps(self.1, other.1),
            )
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(
                _mm256_mul_ps(self.0, other.0),
                _mm256_mul_ps(self.1, other.1),
            )
        }
        // `max(0, a)` gives its second operand where one is NaN.
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            let zero = _mm256_setzero_ps();
            Self(_mm256_max_ps(zero, self.0), _mm256_max_ps(zero, self.1))
        }
        #[inline(always)]
        unsafe fn where_positive(self, gate: Self) -> Self {
            let zero = _mm256_setzero_ps();
            Self(
                _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_NLE_UQ>(gate.0, zero)),
                _mm256_and_ps(self.1, _mm256_cmp_ps::<_CMP_NLE_UQ>(gate.1, zero)),
            )
        }
    }

    /// One register. Needs `avx512f`.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    #[inline(always)]
    fn mask(n: usize) -> __mmask16 {
        ((1_u32 << n.min(LANES)) - 1) as __mmask16
    }

    impl Vector for Avx512 {
        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(_mm512_setzero_ps())
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            Self(_mm512_set1_ps(x))
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(_mm512_loadu_ps(from))
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, n: usize) -> Self {
            Self(_mm512_maskz_loadu_ps(mask(n), from))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm512_storeu_ps(to, self.0);
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, n: usize) {
            _mm512_mask_storeu_ps(to, mask(n), self.0);
        }
        #[inline(always)]
        unsafe fn mul_add(self, by: Self, to: Self) -> Self {
            Self(_mm512_fmadd_ps(self.0, by.0, to.0))
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(_mm512_add_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(_mm512_sub_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(_mm512_mul_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            Self(_mm512_max_ps(_mm512_setzero_ps(), self.0))
        }
        #[inline(always)]
        unsafe fn where_positive(self, gate: Self) -> Self {
            let gate = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(gate.0, _mm512_setzero_ps());
            Self(_mm512_maskz_mov_ps(gate, self.0))
        }
    }
}
