//! What looks at the neighbours of a pixel.

use super::isa::vectorized;
use crate::arith::{blend, gaussian, rounded};
use crate::plan::{Blur, Border};

vectorized! {
    /// smooth + factor · (level − smooth), where smooth weighs a pixel 5 and its neighbours 1; border pixels stay.
    pub(super) fn sharpness(factor: f32, shape: [usize; 3], input: &[u8], out: &mut [u8]) {
        let [_, h, w] = shape;
        for (input, out) in input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
            out[..w].copy_from_slice(&input[..w]);
            out[(h - 1) * w..].copy_from_slice(&input[(h - 1) * w..]);
            for y in 1..h - 1 {
                let [above, row, below] = [y - 1, y, y + 1].map(|y| &input[y * w..][..w]);
                let out = &mut out[y * w..][..w];
                (out[0], out[w - 1]) = (row[0], row[w - 1]);
                let inner = w - 2;
                let rows = [above, row, below];
                // The last block overlaps the one before it: the same pixels twice cost less than a rest pixel by pixel.
                let blocks = (0..inner / SHARP).map(|block| block * SHARP);
                for x in blocks.chain(inner.checked_sub(SHARP)) {
                    sharpen::<SHARP>(factor, rows, x, out);
                }
                if inner < SHARP {
                    for x in 0..inner {
                        sharpen::<1>(factor, rows, x, out);
                    }
                }
            }
        }
    }
}

/// Pixels sharpened at a time.
const SHARP: usize = 16;

/// Sharpens `N` pixels from column `x` + 1 on.
#[inline(always)]
fn sharpen<const N: usize>(factor: f32, rows: [&[u8]; 3], x: usize, out: &mut [u8]) {
    let mut sums = [0_u16; N];
    let mut centre = [0; N];
    for (k, row) in rows.into_iter().enumerate() {
        let row = &row[x..x + N + 2];
        for i in 0..N {
            let (left, middle, right) = (row[i], row[i + 1], row[i + 2]);
            let weight = if k == 1 { 5 } else { 1 };
            sums[i] += u16::from(left) + weight * u16::from(middle) + u16::from(right);
            if k == 1 {
                centre[i] = middle;
            }
        }
    }
    let out = &mut out[x + 1..x + 1 + N];
    for i in 0..N {
        out[i] = blend(thirteenth(sums[i]), centre[i], factor);
    }
}

/// sum / 13, rounded, for sums of at most 13 · 255: (sum + 6) / 13 rounded down, by the reciprocal in 16 bits.
#[inline(always)]
fn thirteenth(sum: u16) -> u8 {
    ((u32::from(sum + 6) * 5042) >> 16) as u8
}

vectorized! {
    /// A Gaussian filter: rows, then columns, in f32; rounded once. `floats` is scratch space.
    pub(super) fn blur(step: &Blur, shape: [usize; 3], input: &[u8], out: &mut [u8], floats: &mut Vec<f32>) {
        let [_, h, w] = shape;
        let radius = step.radius as usize;
        let weights = gaussian(radius, step.sigma);
        // One padded row, the filtered rows of a plane, the sum of a row.
        floats.clear();
        floats.resize(w + 2 * radius + h * w + w, 0.0);
        let (padded, rest) = floats.split_at_mut(w + 2 * radius);
        let (rows, sum) = rest.split_at_mut(h * w);
        for (input, out) in input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
            for (row, filtered) in input.chunks_exact(w).zip(rows.chunks_exact_mut(w)) {
                for (padded, level) in padded[radius..].iter_mut().zip(row) {
                    *padded = f32::from(*level);
                }
                for step in 1..=radius {
                    padded[radius - step] = padded[radius + step];
                    padded[radius + w - 1 + step] = padded[radius + w - 1 - step];
                }
                weigh(filtered, weights[0], &padded[radius..][..w]);
                for (step, weight) in weights.iter().enumerate().take(radius + 1).skip(1) {
                    add(filtered, *weight, &padded[radius - step..][..w], &padded[radius + step..][..w]);
                }
            }
            for (y, out) in out.chunks_exact_mut(w).enumerate() {
                let row = |step: i32| {
                    let y = Border::Reflect.fold(y as i32 + step, h as i32) as usize;
                    &rows[y * w..][..w]
                };
                weigh(sum, weights[0], row(0));
                for (step, weight) in weights.iter().enumerate().take(radius + 1).skip(1) {
                    add(sum, *weight, row(-(step as i32)), row(step as i32));
                }
                for (out, level) in out.iter_mut().zip(sum.iter()) {
                    *out = rounded(*level);
                }
            }
        }
    }
}

#[inline(always)]
fn weigh(sum: &mut [f32], weight: f32, row: &[f32]) {
    for (sum, level) in sum.iter_mut().zip(row) {
        *sum = weight * level;
    }
}

#[inline(always)]
fn add(sum: &mut [f32], weight: f32, before: &[f32], after: &[f32]) {
    for ((sum, before), after) in sum.iter_mut().zip(before).zip(after) {
        *sum += weight * (before + after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirteenths_are_rounded() {
        for sum in 0..=13 * 255 {
            assert_eq!(u32::from(thirteenth(sum)), (2 * u32::from(sum) + 13) / 26);
        }
    }
}
