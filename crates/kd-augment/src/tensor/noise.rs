//! Normal noise.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host;
use crate::arith::fill_normal;
use crate::plan::Noise;

/// Noise on every level. It is drawn on the host, which also scales it, so that the device only adds.
pub(super) fn noisy(steps: &[Noise], images: Tensor<4>) -> Tensor<4> {
    let shape @ [n, c, h, w] = images.dims();
    let size = c * h * w;
    let mut noise = vec![0.0; n * size];
    noise
        .par_chunks_exact_mut(size)
        .zip(steps)
        .for_each(|(noise, step)| {
            fill_normal(step.key, noise);
            for z in noise {
                // Beyond ±256 every sum is clamped.
                *z = (255.0 * (step.mean + step.sigma * *z)).clamp(-256.0, 256.0);
            }
        });
    let noise = host::floats(noise, shape, &images);
    (images + noise).clamp(0.0, 255.0).round()
}
