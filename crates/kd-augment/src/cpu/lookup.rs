//! Maps of levels, and what they are made from.

use super::isa::vectorized;
use crate::arith::{Table, luminance};

/// What each level of `input` becomes.
pub(super) fn lookup(table: &Table, input: &[u8], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if super::isa::isa() == super::isa::Isa::Avx512 {
        // SAFETY: `isa` says that this machine has the instructions; the function has no other condition.
        #[allow(unsafe_code)]
        return unsafe { lookup_avx512(table, input, out) };
    }
    for (out, level) in out.iter_mut().zip(input) {
        *out = table[usize::from(*level)];
    }
}

/// The whole table stands in four registers: two look-ups of 128 entries and a choice by the highest bit treat 64 pixels.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn lookup_avx512(table: &Table, input: &[u8], out: &mut [u8]) {
    use core::arch::x86_64::{
        __m512i, _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_movepi8_mask,
        _mm512_permutex2var_epi8, _mm512_storeu_si512,
    };

    const WIDTH: usize = 64;
    #[allow(unsafe_code)]
    #[inline(always)]
    fn load(bytes: &[u8; WIDTH]) -> __m512i {
        // SAFETY: 64 bytes can be read where an array of 64 bytes is; the load needs no alignment. Only called from a function
        // that is compiled for AVX-512.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }
    let quarter = |k: usize| {
        let mut bytes = [0; WIDTH];
        bytes.copy_from_slice(&table[k * WIDTH..][..WIDTH]);
        load(&bytes)
    };
    let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let map = |bytes: &[u8; WIDTH], out: &mut [u8; WIDTH]| {
        let levels = load(bytes);
        let low = _mm512_permutex2var_epi8(quarters[0], levels, quarters[1]);
        let high = _mm512_permutex2var_epi8(quarters[2], levels, quarters[3]);
        let mapped = _mm512_mask_blend_epi8(_mm512_movepi8_mask(levels), low, high);
        // SAFETY: 64 bytes can be written where an array of 64 bytes is; the store needs no alignment.
        #[allow(unsafe_code)]
        unsafe {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), mapped);
        }
    };
    let (blocks, rest) = input.as_chunks::<WIDTH>();
    let (out_blocks, out_rest) = out.as_chunks_mut::<WIDTH>();
    for (block, out) in blocks.iter().zip(out_blocks) {
        map(block, out);
    }
    for (level, out) in rest.iter().zip(out_rest) {
        *out = table[usize::from(*level)];
    }
}

vectorized! {
    /// The darkest and the brightest level.
    pub(super) fn extremes(plane: &[u8]) -> (u8, u8) {
        let (mut low, mut high) = (255_u8, 0_u8);
        for &level in plane {
            low = if level < low { level } else { low };
            high = if level > high { level } else { high };
        }
        (low, high)
    }
}

/// How often each level occurs. Four counts in turn, since adding to one count twice in a row waits.
pub(super) fn histogram(plane: &[u8]) -> [u32; 256] {
    let mut counts = [[0_u32; 256]; 4];
    let (fours, rest) = plane.as_chunks::<4>();
    for four in fours {
        for (counts, level) in counts.iter_mut().zip(four) {
            counts[usize::from(*level)] += 1;
        }
    }
    for level in rest {
        counts[0][usize::from(*level)] += 1;
    }
    let [a, b, c, d] = &counts;
    core::array::from_fn(|level| a[level] + b[level] + c[level] + d[level])
}

vectorized! {
    /// The sum of the luminance of three planes.
    pub(super) fn luminance_sum(red: &[u8], green: &[u8], blue: &[u8]) -> u64 {
        // 2¹⁶ levels of at most 255 fit into 32 bits.
        const PART: usize = 1 << 16;
        let parts = red.chunks(PART).zip(green.chunks(PART)).zip(blue.chunks(PART));
        let mut sum = 0;
        for ((red, green), blue) in parts {
            let mut part = 0_u32;
            for ((r, g), b) in red.iter().zip(green).zip(blue) {
                part += u32::from(luminance([*r, *g, *b]));
            }
            sum += u64::from(part);
        }
        sum
    }
}

vectorized! {
    /// The sum of one plane.
    pub(super) fn level_sum(plane: &[u8]) -> u64 {
        let mut sum = 0;
        for part in plane.chunks(1 << 16) {
            let mut levels = 0_u32;
            for level in part {
                levels += u32::from(*level);
            }
            sum += u64::from(levels);
        }
        sum
    }
}
