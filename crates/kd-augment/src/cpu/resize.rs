//! Stretching a region to the size of the image.

use super::isa::vectorized;
use crate::arith::{Taps, nearest_indices};
use crate::plan::{Interpolation, Resize};

const HALF: i32 = 1 << (PRECISION - 1);
const PRECISION: u32 = 22;

/// Scratch space.
#[derive(Default)]
pub(super) struct Scratch {
    columns: Taps,
    rows: Taps,
    column_indices: Vec<u32>,
    row_indices: Vec<u32>,
    /// The rows that are needed, stretched in width.
    stretched: Vec<u8>,
}

/// Columns first, then rows; levels are rounded after each.
pub(super) fn resize(
    step: &Resize,
    shape: [usize; 3],
    input: &[u8],
    out: &mut [u8],
    scratch: &mut Scratch,
) {
    let [_, h, w] = shape;
    let (columns, rows) = (step.area.columns(), step.area.rows());
    let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
    match step.interpolation {
        Interpolation::Nearest => {
            nearest_indices(columns.start, columns.len(), w, &mut scratch.column_indices);
            nearest_indices(rows.start, rows.len(), h, &mut scratch.row_indices);
            for (input, out) in planes {
                for (out, y) in out.chunks_exact_mut(w).zip(&scratch.row_indices) {
                    let row = &input[*y as usize * w..][..w];
                    for (out, x) in out.iter_mut().zip(&scratch.column_indices) {
                        *out = row[*x as usize];
                    }
                }
            }
        }
        Interpolation::Bilinear => {
            scratch.columns.set(columns.start, columns.len(), w);
            scratch.rows.set(0, rows.len(), h);
            scratch.stretched.resize(rows.len() * w, 0);
            for (input, out) in planes {
                let input = &input[rows.start * w..rows.end * w];
                match columns.len() == w {
                    true => scratch.stretched.copy_from_slice(input),
                    false => stretch_columns(&scratch.columns, w, input, &mut scratch.stretched),
                }
                match rows.len() == h {
                    true => out.copy_from_slice(&scratch.stretched),
                    false => stretch_rows(&scratch.rows, w, &scratch.stretched, out),
                }
            }
        }
    }
}

#[inline(always)]
fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn stretch_columns(taps: &Taps, w: usize, input: &[u8], out: &mut [u8]) {
    for x in 0..w {
        let (start, weights) = taps.of(x);
        let length = weights.len().min(w - start);
        let weights = &weights[..length];
        for (row, out) in input.chunks_exact(w).zip(out.chunks_exact_mut(w)) {
            let mut sum = HALF;
            for (level, weight) in row[start..][..length].iter().zip(weights) {
                sum += i32::from(*level) * weight;
            }
            out[x] = round(sum);
        }
    }
}

vectorized! {
    /// Every output row is a weighted sum of rows.
    fn stretch_rows(taps: &Taps, w: usize, input: &[u8], out: &mut [u8]) {
        for (y, out) in out.chunks_exact_mut(w).enumerate() {
            let (start, weights) = taps.of(y);
            match weights {
                [a, b, c] => {
                    // Rows beyond the region have no weight.
                    let row = |k: usize| input.get((start + k) * w..).and_then(|rest| rest.get(..w)).unwrap_or(&input[..w]);
                    let (first, second, third) = (row(0), row(1), row(2));
                    for (((out, first), second), third) in out.iter_mut().zip(first).zip(second).zip(third) {
                        *out = round(HALF + i32::from(*first) * a + i32::from(*second) * b + i32::from(*third) * c);
                    }
                }
                _ => {
                    for (x, out) in out.iter_mut().enumerate() {
                        let mut sum = HALF;
                        for (k, weight) in weights.iter().enumerate() {
                            let level = input.get((start + k) * w + x).copied().unwrap_or(0);
                            sum += i32::from(level) * weight;
                        }
                        *out = round(sum);
                    }
                }
            }
        }
    }
}
