//! Stretching a region to the size of the image.

use super::isa::vectorized;
use crate::arith::{PRECISION, Taps, nearest_indices};
use crate::plan::{Interpolation, Resize};

const HALF: i32 = 1 << (PRECISION - 1);

/// Scratch space.
#[derive(Default)]
pub(super) struct Scratch {
    columns: Taps,
    rows: Taps,
    column_indices: Vec<u32>,
    row_indices: Vec<u32>,
    /// The rows that are needed, stretched in width.
    stretched: Vec<u8>,
    line: Line,
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
                    false => {
                        let Scratch {
                            columns,
                            line,
                            stretched,
                            ..
                        } = scratch;
                        stretch_columns(columns, w, input, stretched, line);
                    }
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

/// Memory for one row.
#[derive(Default)]
struct Line {
    /// The row, and four bytes after it.
    padded: Vec<u8>,
    /// For each output column the four bytes from its first input column on.
    quads: Vec<[u8; 4]>,
    /// Weights of the first, the second and the third of them.
    weights: [Vec<i32>; 3],
}

fn stretch_columns(taps: &Taps, w: usize, input: &[u8], out: &mut [u8], line: &mut Line) {
    for (k, weights) in line.weights.iter_mut().enumerate() {
        weights.clear();
        weights.extend((0..w).map(|x| taps.of(x).1[k]));
    }
    line.quads.resize(w, [0; 4]);
    for (row, out) in input.chunks_exact(w).zip(out.chunks_exact_mut(w)) {
        line.padded.clear();
        line.padded.extend_from_slice(row);
        line.padded.extend_from_slice(&[0; 4]);
        for (quad, start) in line.quads.iter_mut().zip(taps.starts()) {
            if let Some(bytes) = line.padded[*start as usize..].first_chunk::<4>() {
                *quad = *bytes;
            }
        }
        weigh_columns(&line.quads, &line.weights, out);
    }
}

vectorized! {
    fn weigh_columns(quads: &[[u8; 4]], weights: &[Vec<i32>; 3], out: &mut [u8]) {
        let n = out.len();
        let [a, b, c] = weights;
        let (quads, a, b, c) = (&quads[..n], &a[..n], &b[..n], &c[..n]);
        for i in 0..n {
            let quad = u32::from_le_bytes(quads[i]);
            let level = |k: u32| ((quad >> (8 * k)) & 0xFF) as i32;
            out[i] = round(HALF + level(0) * a[i] + level(1) * b[i] + level(2) * c[i]);
        }
    }
}

vectorized! {
    /// Every output row is a weighted sum of rows.
    fn stretch_rows(taps: &Taps, w: usize, input: &[u8], out: &mut [u8]) {
        for (y, out) in out.chunks_exact_mut(w).enumerate() {
            let (start, [a, b, c]) = taps.of(y);
            // Rows beyond the region have no weight.
            let row = |k: usize| input.get((start + k) * w..).and_then(|rest| rest.get(..w)).unwrap_or(&input[..w]);
            let (first, second, third) = (row(0), row(1), row(2));
            for (((out, first), second), third) in out.iter_mut().zip(first).zip(second).zip(third) {
                *out = round(HALF + i32::from(*first) * a + i32::from(*second) * b + i32::from(*third) * c);
            }
        }
    }
}
