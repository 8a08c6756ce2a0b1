//! What looks at the neighbours of a pixel.

use burn::tensor::Tensor;

use super::{colour, host};
use crate::arith::gaussian;
use crate::plan::{Blur, Border};

/// smooth + factor · (level − smooth), a factor for each image; border pixels stay. Every sum is exact.
pub(super) fn sharpened(factors: &[f32], images: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = images.dims();
    let three = |sums: Tensor<4>, dim: usize| {
        let length = sums.dims()[dim] - 2;
        let from = |start| sums.clone().narrow(dim, start, length);
        from(0) + from(1) + from(2)
    };
    let inner = images.clone().narrow(2, 1, h - 2).narrow(3, 1, w - 2);
    let sum = three(three(images.clone(), 2), 3) + inner.clone() * 4.0;
    // A thirteenth, rounded: the reciprocal in 16 bits.
    let smooth = ((sum + 6.0) * (5042.0 / 65536.0)).floor();
    let inner = colour::blended(smooth, inner, factors);
    images.slice_assign([0..n, 0..c, 1..h - 1, 1..w - 1], inner)
}

/// A Gaussian filter as a product with a matrix on either side.
pub(super) fn blurred(steps: &[Blur], images: Tensor<4>) -> Tensor<4> {
    let [n, _, h, w] = images.dims();
    let matrices = |size: usize| {
        let mut matrices = vec![0.0; n * size * size];
        for (step, matrix) in steps.iter().zip(matrices.chunks_exact_mut(size * size)) {
            let radius = step.radius as i32;
            let weights = gaussian(step.radius as usize, step.sigma);
            for (output, row) in matrix.chunks_exact_mut(size).enumerate() {
                for offset in -radius..=radius {
                    let input = Border::Reflect.fold(output as i32 + offset, size as i32);
                    row[input as usize] += weights[offset.unsigned_abs() as usize];
                }
            }
        }
        host::floats(matrices, [n, 1, size, size], &images)
    };
    let (columns, rows) = (matrices(w).swap_dims(2, 3), matrices(h));
    let sum = rows.matmul(images.matmul(columns));
    sum.clamp(0.0, 255.0).round()
}
