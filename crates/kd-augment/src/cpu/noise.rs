//! Normal noise.

use super::isa::vectorized;
use crate::arith::{fill_normal, noisy};
use crate::plan::Noise;

vectorized! {
    /// Noise on every level; `floats` is scratch space.
    pub(super) fn noise(step: &Noise, input: &[u8], out: &mut [u8], floats: &mut Vec<f32>) {
        floats.resize(input.len(), 0.0);
        fill_normal(step.key, floats);
        for ((out, level), z) in out.iter_mut().zip(input).zip(floats.iter()) {
            *out = noisy(*level, step.mean, step.sigma, *z);
        }
    }
}
