//! Stretching a region to the size of the image.

use burn::tensor::Tensor;

use super::host;
use crate::arith::Taps;
use crate::plan::Resize;

/// Stretched regions: columns first, then rows, levels rounded after each.
pub(super) fn stretched(steps: &[Resize], images: Tensor<4>) -> Tensor<4> {
    let [n, _, h, w] = images.dims();
    let areas = steps.iter().map(|step| step.area);
    let columns = weights(areas.clone().map(|area| area.columns()), w);
    let columns = host::floats(columns, [n, 1, 2 * w, w], &images).swap_dims(2, 3);
    let rows = weights(areas.map(|area| area.rows()), h);
    let rows = host::floats(rows, [n, 1, 2 * h, h], &images);
    let stretched = rounded(images.matmul(columns), 3);
    rounded(rows.matmul(stretched), 2)
}

/// A fixed-point weight of 22 bits is split into two numbers of 11 bits. Their products with levels, and sums of these, are
/// exact in f32, also on a device that multiplies matrices in TF32.
const SPLIT: i32 = 1 << 11;

/// For each range of an axis the matrix that stretches it to the whole: rows of the high parts of weights, then of the low,
/// in units of the high.
fn weights(ranges: impl Iterator<Item = core::ops::Range<usize>>, size: usize) -> Vec<f32> {
    let mut taps = Taps::default();
    let mut matrices = Vec::new();
    for range in ranges {
        taps.set(range.start, range.len(), size);
        let start = matrices.len();
        matrices.resize(start + 2 * size * size, 0.0);
        let (high, low) = matrices[start..].split_at_mut(size * size);
        for output in 0..size {
            let (first, weights) = taps.of(output);
            let used = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| **weight != 0);
            for (tap, weight) in used {
                let at = output * size + first + tap;
                high[at] = (weight / SPLIT) as f32;
                low[at] = (weight % SPLIT) as f32 / SPLIT as f32;
            }
        }
    }
    matrices
}

/// Sums of high and of low parts, along `dim`, as levels: rounded as in fixed point. Weights sum to 1, so that none lies
/// beyond 255.
fn rounded(sums: Tensor<4>, dim: usize) -> Tensor<4> {
    let size = sums.dims()[dim] / 2;
    let (high, low) = (
        sums.clone().narrow(dim, 0, size),
        sums.narrow(dim, size, size),
    );
    let split = SPLIT as f32;
    ((high + low.floor() + split / 2.0) * (1.0 / split)).floor()
}
