//! What looks at the three channels of a pixel together, and blends.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host;
use crate::cpu;
use crate::error::AugmentError;
use crate::plan::Hue;

/// grey + factor · (level − grey), a factor for each image.
pub(super) fn saturated(factors: &[f32], images: Tensor<4>) -> Tensor<4> {
    let grey = luminance(&images);
    blended(grey, images, factors)
}

/// The luminance, `[n, 1, height, width]`: 65536ths whose numbers stay below 2²⁴, which f32 holds exactly.
fn luminance(images: &Tensor<4>) -> Tensor<4> {
    let weights = [19595.0, 38470.0, 7471.0].map(|weight: f32| weight / 65536.0);
    let weights = host::floats(weights.to_vec(), [1, 3, 1, 1], images);
    ((images.clone() * weights).sum_dim(1) + 0.5).floor()
}

/// degenerate + factor · (level − degenerate), truncated and clamped; `degenerate` may have one channel for all.
///
/// The products come from a table for each image. Multiplied on the device they might be fused with the addition, which rounds
/// once where the other engines round twice.
pub(super) fn blended(degenerate: Tensor<4>, images: Tensor<4>, factors: &[f32]) -> Tensor<4> {
    let shape @ [n, c, h, w] = images.dims();
    let differences = -255..=255_i32;
    let products: Vec<f32> = factors
        .iter()
        // Beyond ±256 every sum is clamped.
        .flat_map(|factor| {
            let product = move |difference| factor * difference as f32;
            differences
                .clone()
                .map(move |d| product(d).clamp(-256.0, 256.0))
        })
        .collect();
    let products = host::floats(products, [n, 511], &images);
    let differences = (images - degenerate.clone() + 255.0).int();
    let products = products.gather(1, differences.reshape([n, c * h * w]));
    (products.reshape(shape) + degenerate)
        .clamp(0.0, 255.0)
        .floor()
}

/// Turned hues. Pillow's steps between single and double precision are taken on the host: this waits for the device.
pub(super) fn turned(steps: &[Hue], images: Tensor<4>) -> Result<Tensor<4>, AugmentError> {
    let shape @ [_, c, h, w] = images.dims();
    let size = c * h * w;
    let input = host::levels(images.clone())?;
    let mut out = vec![0; input.len()];
    out.par_chunks_exact_mut(size)
        .zip(input.par_chunks_exact(size).zip(steps))
        .for_each(|(out, (input, step))| cpu::hue(step.turn, input, out));
    let out = out.into_iter().map(f32::from).collect();
    Ok(host::floats(out, shape, &images))
}
