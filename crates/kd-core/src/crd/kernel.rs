//! The contrast with the negatives on the CPU: of the scores of all samples, those of the negatives are read where they lie, and their
//! derivatives written where the product with the bank will want them.

use burn::tensor::Tensor;
use kd_nn::custom::{Dense, dense_tensor};
use rayon::prelude::*;

use super::Negatives;

/// Products that are taken side by side.
const LANES: usize = 8;

/// Factors of a product before its logarithm is taken: below 1e38 each, their product is finite in f64.
const FACTORS: usize = 8;

/// The largest exponent.
const LARGEST: f32 = 80.0;

/// Scores that are exponentiated together.
const BLOCK: usize = 256;

/// What the negatives contribute: sums over them for each image, and the derivative with respect to every sample's score.
pub(super) struct Sums {
    pub(super) values: Vec<f32>,
    pub(super) to_scores: Tensor<2>,
}

/// `sum_k exp(score_k)` of each image. `None` for scores that are not f32 on the CPU.
pub(super) fn exponentials(scores: &Tensor<2>, negatives: &Negatives) -> Option<Vec<f32>> {
    let dense = Dense::of(scores)?;
    let [_, samples] = scores.dims();
    let sum = |(image, scores): (usize, &[f32])| {
        let mut sum = 0.0;
        in_blocks(scores, (negatives, image), 0.0, |_, block, _| {
            sum += block.iter().map(|&x| f64::from(x)).sum::<f64>();
        });
        sum as f32
    };
    Some(dense.par_chunks(samples).enumerate().map(sum).collect())
}

/// The largest score of each image's negatives.
pub(super) fn largest(scores: &Tensor<2>, negatives: &Negatives) -> Option<Vec<f32>> {
    let dense = Dense::of(scores)?;
    let [_, samples] = scores.dims();
    let most = |(image, scores): (usize, &[f32])| {
        let mut most = f32::NEG_INFINITY;
        negatives.in_blocks::<BLOCK>(image, |ids| {
            most = ids.iter().fold(most, |most, &id| most.max(scores[id]));
        });
        most
    };
    Some(dense.par_chunks(samples).enumerate().map(most).collect())
}

/// `sum_k log(1 + exp(score_k + shift))`, and its derivative `exp(..) / (1 + exp(..))`.
pub(super) fn soft_plus(scores: &Tensor<2>, negatives: &Negatives, shift: f32) -> Option<Sums> {
    let shifts = vec![shift; scores.dims()[0]];
    sums(scores, negatives, &shifts, |block, slopes| {
        let mut logs = 0.0;
        let runs = block.chunks(FACTORS * LANES);
        for (block, slopes) in runs.zip(slopes.chunks_mut(FACTORS * LANES)) {
            let mut products = [1.0; LANES];
            for (block, slopes) in block.chunks(LANES).zip(slopes.chunks_mut(LANES)) {
                for ((x, slope), product) in block.iter().zip(slopes).zip(&mut products) {
                    let factor = 1.0 + x;
                    *product *= f64::from(*x) + 1.0;
                    *slope = x / factor;
                }
            }
            logs += products.iter().map(|product| product.ln()).sum::<f64>();
        }
        logs
    })
}

/// `sum_k exp(score_k + shift)` with a shift for each image, and its derivative, which is the same.
pub(super) fn exponential(
    scores: &Tensor<2>,
    negatives: &Negatives,
    shifts: &[f32],
) -> Option<Sums> {
    sums(scores, negatives, shifts, |block, slopes| {
        slopes.copy_from_slice(block);
        block.iter().map(|&x| f64::from(x)).sum()
    })
}

fn sums(
    scores: &Tensor<2>,
    negatives: &Negatives,
    shifts: &[f32],
    term: impl Fn(&[f32], &mut [f32]) -> f64 + Sync,
) -> Option<Sums> {
    let dense = Dense::of(scores)?;
    let [batch, samples] = scores.dims();
    let mut values = vec![0.0; batch];
    let to_scores = dense_tensor([batch, samples], false, |to| {
        to.par_chunks_mut(samples)
            .zip(dense.par_chunks(samples))
            .zip(values.par_iter_mut().zip(shifts))
            .enumerate()
            .for_each(|(image, ((to, scores), (value, &shift)))| {
                to.fill(0.0);
                let (mut sum, mut slopes) = (0.0, [0.0; BLOCK]);
                in_blocks(scores, (negatives, image), shift, |ids, block, excess| {
                    let slopes = &mut slopes[..block.len()];
                    sum += term(block, slopes) + excess;
                    for (&id, slope) in ids.iter().zip(slopes) {
                        to[id] += *slope;
                    }
                });
                *value = sum as f32;
            });
    });
    Some(Sums { values, to_scores })
}

/// Ids and `exp(score + shift)`, a block at a time. Beyond [`LARGEST`] the logarithm of `1 + exp(x)` is `x`: what exceeds it is given apart.
fn in_blocks(
    scores: &[f32],
    (negatives, image): (&Negatives, usize),
    shift: f32,
    mut block: impl FnMut(&[usize], &[f32], f64),
) {
    let mut numbers = [0.0; BLOCK];
    negatives.in_blocks::<BLOCK>(image, |ids| {
        let numbers = &mut numbers[..ids.len()];
        for (number, &id) in numbers.iter_mut().zip(ids) {
            *number = scores[id] + shift;
        }
        let mut excess = 0.0;
        for number in numbers.iter_mut() {
            excess += (*number - LARGEST).max(0.0);
            *number = exp(number.min(LARGEST));
        }
        block(ids, numbers, f64::from(excess));
    });
}

/// `exp(x)` within two units in the last place, for the compiler to vectorise; 0 below -87 and infinite from 88.7 on.
///
/// `x = n ln 2 + r` with `|r|` at most half of `ln 2`, and the series of `exp(r)` to the seventh power.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking off 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.7);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = (series * r) * r + r + 1.0;
    // 2^n in two factors, as n may be 128.
    let half = (n as i32) >> 1;
    let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
    let value = series * power(half) * power(n as i32 - half);
    if x < -87.0 {
        0.0
    } else if x > 88.7 {
        f32::INFINITY
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units() {
        for i in -870_000..=887_000 {
            let x = i as f32 * 1e-4;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            let unit = 2f64.powi(-23) * expected;
            assert!((found - expected).abs() <= 2.0 * unit, "exp({x}) = {found}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(1000.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }
}
