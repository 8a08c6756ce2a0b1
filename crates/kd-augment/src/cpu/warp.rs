//! Affine resampling.

use super::isa::vectorized;
use crate::arith::truncated_f64;
use crate::plan::{Border, Interpolation, Shift, Warp};

/// Marks an output pixel whose source lies outside.
const OUTSIDE: u32 = u32::MAX;

/// `indices` and `row` are scratch space.
pub(super) fn warp(
    step: &Warp,
    shape: [usize; 3],
    input: &[u8],
    out: &mut [u8],
    indices: &mut Vec<u32>,
    row: &mut Row,
) {
    match step.interpolation {
        Interpolation::Nearest => nearest(step, shape, input, out, indices),
        Interpolation::Bilinear => bilinear(step, shape, input, out, row),
    }
}

/// The map in 16.16 fixed point, as Pillow computes nearest neighbours: source of (0, 0), a step to the right, a step down.
struct Fixed {
    origin: [i64; 2],
    right: [i64; 2],
    down: [i64; 2],
}

impl Fixed {
    fn new(matrix: &[f64; 6]) -> Self {
        let fixed = |v: f64| (v * 65536.0 + 0.5).floor() as i64;
        let [a, b, c, d, e, f] = *matrix;
        Self {
            origin: [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)],
            right: [fixed(a), fixed(d)],
            down: [fixed(b), fixed(e)],
        }
    }
}

/// Source coordinates (in whole pixels, rounded down) of output pixel (x, y) under nearest neighbours; `None` outside.
pub(crate) fn nearest_source(
    matrix: &[f64; 6],
    [x, y]: [usize; 2],
    [height, width]: [usize; 2],
) -> Option<(usize, usize)> {
    let Fixed {
        origin,
        right,
        down,
    } = Fixed::new(matrix);
    let at = |axis: usize| (origin[axis] + right[axis] * x as i64 + down[axis] * y as i64) >> 16;
    let inside = |v: i64, size: usize| usize::try_from(v).ok().filter(|v| *v < size);
    Some((inside(at(0), width)?, inside(at(1), height)?))
}

fn nearest(
    step: &Warp,
    [_, h, w]: [usize; 3],
    input: &[u8],
    out: &mut [u8],
    indices: &mut Vec<u32>,
) {
    let fixed = Fixed::new(&step.matrix);
    if fixed.right == [1 << 16, 0] {
        return sheared_rows(step, &fixed, [h, w], input, out);
    }
    indices.clear();
    indices.resize(h * w, OUTSIDE);
    sources(&fixed, [h, w], indices);
    let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
    for (channel, (input, out)) in planes.enumerate() {
        let fill = step.fill.level(channel);
        for (out, index) in out.iter_mut().zip(indices.iter()) {
            *out = match input.get(*index as usize) {
                Some(level) => *level,
                None => fill,
            };
        }
    }
}

fn sources(fixed: &Fixed, [h, w]: [usize; 2], indices: &mut [u32]) {
    // Positions of small images, which is most of them, fit into 32 bits.
    let limit = 1 << 14;
    let small = h < limit
        && w < limit
        && [fixed.origin, fixed.right, fixed.down]
            .iter()
            .flatten()
            .all(|v| v.unsigned_abs() < 1 << 29)
        && [0, 1].iter().all(|&axis| {
            let reach = fixed.origin[axis].unsigned_abs()
                + fixed.right[axis].unsigned_abs() * w as u64
                + fixed.down[axis].unsigned_abs() * h as u64;
            reach < 1 << 31
        });
    match small {
        true => small_sources(
            fixed.origin.map(|v| v as i32),
            fixed.right.map(|v| v as i32),
            fixed.down.map(|v| v as i32),
            [h, w],
            indices,
        ),
        false => {
            for (y, row) in indices.chunks_exact_mut(w).enumerate() {
                for (x, index) in row.iter_mut().enumerate() {
                    let at = |axis: usize| {
                        let (right, down) = (fixed.right[axis], fixed.down[axis]);
                        (fixed.origin[axis] + right * x as i64 + down * y as i64) >> 16
                    };
                    let (sx, sy) = (at(0), at(1));
                    if (0..w as i64).contains(&sx) && (0..h as i64).contains(&sy) {
                        *index = (sy * w as i64 + sx) as u32;
                    }
                }
            }
        }
    }
}

vectorized! {
    /// Indices of the sources, in 32 bits.
    fn small_sources(origin: [i32; 2], right: [i32; 2], down: [i32; 2], size: [usize; 2], indices: &mut [u32]) {
        let [h, w] = size;
        for (y, row) in indices.chunks_exact_mut(w).enumerate() {
            let (start_x, start_y) = (origin[0] + down[0] * y as i32, origin[1] + down[1] * y as i32);
            for (x, index) in row.iter_mut().enumerate() {
                let sx = (start_x + right[0] * x as i32) >> 16;
                let sy = (start_y + right[1] * x as i32) >> 16;
                // Below 0 is far above the size without its sign.
                let inside = (sx as u32) < w as u32 && (sy as u32) < h as u32;
                *index = if inside { (sy * w as i32 + sx) as u32 } else { OUTSIDE };
            }
        }
    }
}

/// A map that moves every row by whole pixels: rows are copied.
fn sheared_rows(step: &Warp, fixed: &Fixed, [h, w]: [usize; 2], input: &[u8], out: &mut [u8]) {
    let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
    for (channel, (input, out)) in planes.enumerate() {
        let fill = step.fill.level(channel);
        for (y, out) in out.chunks_exact_mut(w).enumerate() {
            let at = |axis: usize| (fixed.origin[axis] + fixed.down[axis] * y as i64) >> 16;
            let (dx, sy) = (at(0), at(1));
            // Output columns whose source column x + dx lies inside.
            let first = (-dx).clamp(0, w as i64) as usize;
            let end = (w as i64 - dx).clamp(0, w as i64) as usize;
            if !(0..h as i64).contains(&sy) || first >= end {
                out.fill(fill);
                continue;
            }
            let from = (sy * w as i64 + dx + first as i64) as usize;
            out[..first].fill(fill);
            out[first..end].copy_from_slice(&input[from..from + end - first]);
            out[end..].fill(fill);
        }
    }
}

/// Memory for the pixels of a row under bilinear interpolation.
#[derive(Default)]
pub(super) struct Row {
    /// Where the four neighbours of each pixel are in their plane; of none, [`OUTSIDE`].
    at: Vec<[u32; 4]>,
    /// How far the pixel is from the upper left one, to the right and down.
    right: Vec<f64>,
    down: Vec<f64>,
    /// The levels of the four.
    levels: [Vec<u8>; 4],
}

impl Row {
    fn resize(&mut self, w: usize) {
        self.at.resize(w, [OUTSIDE; 4]);
        self.right.resize(w, 0.0);
        self.down.resize(w, 0.0);
        for levels in &mut self.levels {
            levels.resize(w, 0);
        }
    }
}

/// Four neighbours in f64, truncated. At the border the outermost pixels are repeated.
fn bilinear(step: &Warp, [_, h, w]: [usize; 3], input: &[u8], out: &mut [u8], row: &mut Row) {
    row.resize(w);
    for y in 0..h {
        neighbours(&step.matrix, y, [h, w], row);
        let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
        for (channel, (plane, out)) in planes.enumerate() {
            let fill = step.fill.level(channel);
            let [p, q, r, s] = &mut row.levels;
            let levels = p.iter_mut().zip(q).zip(r.iter_mut().zip(s));
            for (at, ((p, q), (r, s))) in row.at.iter().zip(levels) {
                [*p, *q, *r, *s] = match at[0] {
                    // Four equal levels make this level.
                    OUTSIDE => [fill; 4],
                    _ => [
                        plane[at[0] as usize],
                        plane[at[1] as usize],
                        plane[at[2] as usize],
                        plane[at[3] as usize],
                    ],
                };
            }
            let [p, q, r, s] = &row.levels;
            weighted([p, q, r, s], &row.right, &row.down, &mut out[y * w..][..w]);
        }
    }
}

/// Neighbours and distances of the pixels of row `y`.
fn neighbours(matrix: &[f64; 6], y: usize, [h, w]: [usize; 2], row: &mut Row) {
    let [a, b, c, d, e, f] = *matrix;
    let v = y as f64 + 0.5;
    let places = row.at.iter_mut().zip(&mut row.right).zip(&mut row.down);
    for (x, ((at, right), down)) in places.enumerate() {
        let u = x as f64 + 0.5;
        let (sx, sy) = (a * u + b * v + c, d * u + e * v + f);
        let inside = sx >= 0.0 && sx < w as f64 && sy >= 0.0 && sy < h as f64;
        if !inside {
            *at = [OUTSIDE; 4];
            continue;
        }
        // Half a pixel to the upper left; the sum with 1 is above 0, so that truncating it rounds down.
        let (sx, sy) = (sx - 0.5, sy - 0.5);
        let (x1, y1) = ((sx + 1.0) as i32, (sy + 1.0) as i32);
        *right = sx - f64::from(x1 - 1);
        *down = sy - f64::from(y1 - 1);
        let (x1, y1) = (x1 as usize, y1 as usize);
        let (x0, x1) = (x1.saturating_sub(1), x1.min(w - 1));
        let (y0, y1) = (y1.saturating_sub(1) * w, y1.min(h - 1) * w);
        *at = [y0 + x0, y0 + x1, y1 + x0, y1 + x1].map(|at| at as u32);
    }
}

vectorized! {
    fn weighted(levels: [&[u8]; 4], right: &[f64], down: &[f64], out: &mut [u8]) {
        let n = out.len();
        let [p, q, r, s] = levels;
        let (p, q, r, s) = (&p[..n], &q[..n], &r[..n], &s[..n]);
        let (right, down) = (&right[..n], &down[..n]);
        for i in 0..n {
            let (p, q, r, s) = (f64::from(p[i]), f64::from(q[i]), f64::from(r[i]), f64::from(s[i]));
            let above = p + (q - p) * right[i];
            let below = r + (s - r) * right[i];
            out[i] = truncated_f64(above + (below - above) * down[i]);
        }
    }
}

/// A shift by whole pixels; the image goes on beyond its border.
pub(super) fn shift(step: &Shift, [_, h, w]: [usize; 3], input: &[u8], out: &mut [u8]) {
    let (first, end) = (
        (-step.dx).clamp(0, w as i32) as usize,
        (w as i32 - step.dx).clamp(0, w as i32) as usize,
    );
    for (input, out) in input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
        for (y, out) in out.chunks_exact_mut(w).enumerate() {
            let sy = step.border.fold(y as i32 + step.dy, h as i32) as usize;
            let row = &input[sy * w..][..w];
            let inside = (first as i32 + step.dx) as usize;
            out[first..end].copy_from_slice(&row[inside..inside + end - first]);
            let fold = |x: usize| row[fold(step.border, x as i32 + step.dx, w)];
            for x in (0..first).chain(end..w) {
                out[x] = fold(x);
            }
        }
    }
}

#[inline]
fn fold(border: Border, v: i32, size: usize) -> usize {
    border.fold(v, size as i32) as usize
}
