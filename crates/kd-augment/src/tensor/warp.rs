//! Affine resampling between pixels.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{host, movement};
use crate::plan::Warp;

/// Affine maps: four neighbours, truncated. Places and weights are computed in f64, the sums in f32.
pub(super) fn warped(steps: &[Warp], images: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = images.dims();
    let size = h * w;
    let mut corners = vec![0; n * 4 * size];
    let mut parts = vec![0.0; n * 2 * size];
    let mut outside = vec![false; n * size];
    corners
        .par_chunks_exact_mut(4 * size)
        .zip(parts.par_chunks_exact_mut(2 * size))
        .zip(outside.par_chunks_exact_mut(size))
        .zip(steps)
        .for_each(|(((corners, parts), outside), step)| {
            for pixel in 0..size {
                match neighbours(step, [pixel % w, pixel / w], [h, w]) {
                    Some((indices, [dx, dy])) => {
                        for (corner, index) in indices.into_iter().enumerate() {
                            corners[corner * size + pixel] = index as i32;
                        }
                        (parts[pixel], parts[size + pixel]) = (dx as f32, dy as f32);
                    }
                    None => outside[pixel] = true,
                }
            }
        });
    let corners = host::indices(corners, [n, 1, 4 * size], &images);
    let parts = host::floats(parts, [n, 2, size], &images);
    let levels = images
        .reshape([n, c, size])
        .gather(2, corners.expand([n, c, 4 * size]));
    let corner = |k: usize| levels.clone().narrow(2, k * size, size);
    let part = |k: usize| parts.clone().narrow(1, k, 1);
    let between = |p: Tensor<3>, q: Tensor<3>, part| p.clone() + (q - p) * part;
    let above = between(corner(0), corner(1), part(0));
    let below = between(corner(2), corner(3), part(0));
    let out = between(above, below, part(1)).clamp(0.0, 255.0).floor();
    let out = out.reshape([n, c, h, w]);
    if !outside.contains(&true) {
        return out;
    }
    movement::filled(out, outside, steps.iter().map(|step| step.fill), f32::from)
}

/// The four pixels around the source of an output pixel and how far it lies between them; `None` outside. At the border the
/// outermost pixels are repeated.
fn neighbours(
    step: &Warp,
    [x, y]: [usize; 2],
    [h, w]: [usize; 2],
) -> Option<([usize; 4], [f64; 2])> {
    let [a, b, c, d, e, f] = step.matrix;
    let (u, v) = (x as f64 + 0.5, y as f64 + 0.5);
    let (sx, sy) = (a * u + b * v + c, d * u + e * v + f);
    let inside = sx >= 0.0 && sx < w as f64 && sy >= 0.0 && sy < h as f64;
    inside.then(|| {
        // Above −1: truncating the sum with 1 rounds down.
        let (sx, sy) = (sx - 0.5 + 1.0, sy - 0.5 + 1.0);
        let (x0, y0) = (sx as usize, sy as usize);
        let (left, right) = (x0.saturating_sub(1), x0.min(w - 1));
        let (above, below) = (y0.saturating_sub(1) * w, y0.min(h - 1) * w);
        (
            [above + left, above + right, below + left, below + right],
            [sx - x0 as f64, sy - y0 as f64],
        )
    })
}
