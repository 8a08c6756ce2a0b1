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

/// A source coordinate in whole pixels. What would overflow is far outside all the same.
#[inline(always)]
fn place(origin: i64, right: i64, x: usize, down: i64, y: usize) -> i64 {
    let moved = right
        .saturating_mul(x as i64)
        .saturating_add(down.saturating_mul(y as i64));
    origin.saturating_add(moved) >> 16
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
    let at = |axis: usize| place(origin[axis], right[axis], x, down[axis], y);
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
                        place(fixed.origin[axis], right, x, down, y)
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
            let at = |axis: usize| place(fixed.origin[axis], 0, 0, fixed.down[axis], y);
            let (dx, sy) = (at(0), at(1));
            // Output columns whose source column x + dx lies inside.
            let first = dx.saturating_neg().clamp(0, w as i64) as usize;
            let end = (w as i64).saturating_sub(dx).clamp(0, w as i64) as usize;
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

/// Memory for a row under bilinear interpolation, one entry a pixel.
#[derive(Default)]
pub(super) struct Row {
    /// Where the upper and the lower left one of the four neighbours are in their plane.
    above: Vec<u32>,
    below: Vec<u32>,
    /// How far the pixel is from the upper left one, to the right and down.
    right: Vec<f64>,
    down: Vec<f64>,
    /// 255 inside the image, else 0.
    inside: Vec<u8>,
    /// The levels of the upper and of the lower pair.
    upper: Vec<[u8; 2]>,
    lower: Vec<[u8; 2]>,
}

impl Row {
    fn resize(&mut self, w: usize) {
        self.above.resize(w, 0);
        self.below.resize(w, 0);
        self.right.resize(w, 0.0);
        self.down.resize(w, 0.0);
        self.inside.resize(w, 0);
        self.upper.resize(w, [0; 2]);
        self.lower.resize(w, [0; 2]);
    }
}

/// Four neighbours in f64, truncated. At the border the outermost pixels are repeated.
fn bilinear(step: &Warp, [_, h, w]: [usize; 3], input: &[u8], out: &mut [u8], row: &mut Row) {
    row.resize(w);
    for y in 0..h {
        neighbours(&step.matrix, y, [h, w], row);
        let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
        for (channel, (plane, out)) in planes.enumerate() {
            let pairs = row.upper.iter_mut().zip(&mut row.lower);
            for ((above, below), (upper, lower)) in row.above.iter().zip(&row.below).zip(pairs) {
                *upper = pair(plane, *above as usize);
                *lower = pair(plane, *below as usize);
            }
            weighted(row, step.fill.level(channel), &mut out[y * w..][..w]);
        }
    }
}

/// A pixel and the one after it, which an image of one column does not have and does not need.
#[inline(always)]
fn pair(plane: &[u8], at: usize) -> [u8; 2] {
    match plane[at..].first_chunk::<2>() {
        Some(pair) => *pair,
        None => [plane[at]; 2],
    }
}

vectorized! {
    /// Neighbours and distances of the pixels of row `y`.
    ///
    /// A coordinate is clamped to the centres of the outermost pixels, which repeats them. In the last column the pair is that
    /// and the one before, at distance 1: a + (b − a) · 1 is b exactly, for levels. Rows are not exact levels any more after
    /// that, so the last one is taken twice instead.
    fn neighbours(matrix: &[f64; 6], y: usize, size: [usize; 2], row: &mut Row) {
        let [h, w] = size;
        let [a, b, c, d, e, f] = *matrix;
        let v = y as f64 + 0.5;
        let (width, height) = (w as f64, h as f64);
        let last_pair = w.saturating_sub(2) as u32;
        let (above, below) = (&mut row.above[..w], &mut row.below[..w]);
        let (right, down, inside) = (&mut row.right[..w], &mut row.down[..w], &mut row.inside[..w]);
        for x in 0..w {
            let u = f64::from(x as i32) + 0.5;
            let (sx, sy) = (a * u + b * v + c, d * u + e * v + f);
            let within = (sx >= 0.0) & (sx < width) & (sy >= 0.0) & (sy < height);
            let (sx, sy) = ((sx - 0.5).clamp(0.0, width - 1.0), (sy - 0.5).clamp(0.0, height - 1.0));
            let x0 = whole(sx);
            let x0 = if x0 > last_pair { last_pair } else { x0 };
            let y0 = whole(sy);
            let y1 = if y0 + 1 < h as u32 { y0 + 1 } else { y0 };
            above[x] = y0 * w as u32 + x0;
            below[x] = y1 * w as u32 + x0;
            right[x] = sx - f64::from(x0 as i32);
            down[x] = sy - f64::from(y0 as i32);
            inside[x] = if within { 0xFF } else { 0 };
        }
    }
}

/// A number from 0 to 2³¹, rounded down. A cast would saturate, which does not vectorise.
#[inline(always)]
fn whole(value: f64) -> u32 {
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let near = value + WHOLE;
    let above = near - WHOLE > value;
    (near.to_bits() as u32).wrapping_sub(u32::from(above))
}

vectorized! {
    fn weighted(row: &Row, fill: u8, out: &mut [u8]) {
        let n = out.len();
        let (upper, lower) = (&row.upper[..n], &row.lower[..n]);
        let (right, down, inside) = (&row.right[..n], &row.down[..n], &row.inside[..n]);
        for i in 0..n {
            let (p, q) = (f64::from(upper[i][0]), f64::from(upper[i][1]));
            let (r, s) = (f64::from(lower[i][0]), f64::from(lower[i][1]));
            let above = p + (q - p) * right[i];
            let below = r + (s - r) * right[i];
            let level = truncated_f64(above + (below - above) * down[i]);
            out[i] = (level & inside[i]) | (fill & !inside[i]);
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
