//! The contrast with the negatives on the CPU: of each image's scores a weighted sum, and its derivatives where the scores were.

use burn::tensor::Tensor;
use kd_nn::custom::{Dense, dense_tensor, vectorized};
use rayon::prelude::*;

use super::Negatives;

/// Scores that are taken together.
const BLOCK: usize = 256;

/// Sums that are taken side by side.
const LANES: usize = 16;

/// Sums over the negatives of each image, and their derivatives with respect to the scores.
pub(super) struct Sums {
    pub(super) values: Vec<f32>,
    pub(super) to_scores: Tensor<2>,
}

/// The largest score of each image's negatives.
pub(super) fn largest(scores: &Tensor<2>, negatives: &Negatives) -> Option<Vec<f32>> {
    let dense = Dense::of(scores)?;
    let [_, candidates] = scores.dims();
    let most = |(image, scores): (usize, &[f32])| {
        vectorized(|| {
            let mut most = [f32::NEG_INFINITY; LANES];
            let mut weights = [0.0; BLOCK];
            for (block, scores) in scores.chunks(BLOCK).enumerate() {
                let weights = &mut weights[..scores.len()];
                negatives.weigh(image, block * BLOCK, weights);
                for (scores, weights) in scores.chunks(LANES).zip(weights.chunks(LANES)) {
                    for ((most, &score), &weight) in most.iter_mut().zip(scores).zip(weights) {
                        let score = if weight > 0.0 {
                            score
                        } else {
                            f32::NEG_INFINITY
                        };
                        *most = if score > *most { score } else { *most };
                    }
                }
            }
            most.into_iter().fold(f32::NEG_INFINITY, f32::max)
        })
    };
    Some(dense.par_chunks(candidates).enumerate().map(most).collect())
}

/// `sum_k log(1 + exp(score_k + shift))`.
pub(super) fn soft_plus(scores: &Tensor<2>, negatives: &Negatives, shift: f32) -> Option<Sums> {
    let shifts = vec![shift; scores.dims()[0]];
    sums(scores, negatives, &shifts, SoftPlus)
}

/// `sum_k exp(score_k + shift)` with a shift for each image.
pub(super) fn exponential(
    scores: &Tensor<2>,
    negatives: &Negatives,
    shifts: &[f32],
) -> Option<Sums> {
    sums(scores, negatives, shifts, Exponential)
}

/// A function and its derivative.
trait Term: Copy + Sync {
    fn of(self, x: f32) -> (f32, f32);
}

#[derive(Clone, Copy)]
struct SoftPlus;

impl Term for SoftPlus {
    #[inline(always)]
    fn of(self, x: f32) -> (f32, f32) {
        let small = exp(-x.abs());
        let slope = 1.0 / (1.0 + small);
        let slope = if x > 0.0 { slope } else { small * slope };
        (x.max(0.0) + log1p(small), slope)
    }
}

#[derive(Clone, Copy)]
struct Exponential;

impl Term for Exponential {
    #[inline(always)]
    fn of(self, x: f32) -> (f32, f32) {
        let value = exp(x);
        (value, value)
    }
}

fn sums(
    scores: &Tensor<2>,
    negatives: &Negatives,
    shifts: &[f32],
    term: impl Term,
) -> Option<Sums> {
    let dense = Dense::of(scores)?;
    let [batch, candidates] = scores.dims();
    let mut values = vec![0.0; batch];
    let to_scores = dense_tensor([batch, candidates], false, |to| {
        to.par_chunks_mut(candidates)
            .zip(dense.par_chunks(candidates))
            .zip(values.par_iter_mut().zip(shifts))
            .enumerate()
            .for_each(|(image, ((to, scores), (value, &shift)))| {
                *value = vectorized(|| row(to, scores, (negatives, image), shift, term));
            });
    });
    Some(Sums { values, to_scores })
}

#[inline(always)]
fn row(
    to: &mut [f32],
    scores: &[f32],
    (negatives, image): (&Negatives, usize),
    shift: f32,
    term: impl Term,
) -> f32 {
    let mut sum = 0.0;
    let mut weights = [0.0; BLOCK];
    let blocks = to.chunks_mut(BLOCK).zip(scores.chunks(BLOCK));
    for (block, (to, scores)) in blocks.enumerate() {
        let weights = &mut weights[..to.len()];
        negatives.weigh(image, block * BLOCK, weights);
        let mut lanes = [0.0; LANES];
        let pieces = to
            .chunks_mut(LANES)
            .zip(scores.chunks(LANES))
            .zip(weights.chunks(LANES));
        for ((to, scores), weights) in pieces {
            if let (Ok(to), Ok(scores), Ok(weights)) = (
                <&mut [f32; LANES]>::try_from(&mut *to),
                <&[f32; LANES]>::try_from(scores),
                <&[f32; LANES]>::try_from(weights),
            ) {
                for l in 0..LANES {
                    let (value, slope) = term.of(scores[l] + shift);
                    lanes[l] += weights[l] * value;
                    to[l] = weights[l] * slope;
                }
            } else {
                for (l, to) in to.iter_mut().enumerate() {
                    let (value, slope) = term.of(scores[l] + shift);
                    lanes[l] += weights[l] * value;
                    *to = weights[l] * slope;
                }
            }
        }
        sum += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
    }
    sum as f32
}

/// The rows of a bank: `[rows, features]`.
pub(super) fn rows(bank: &Tensor<2>, ids: &[usize]) -> Option<Tensor<2>> {
    let dense = Dense::of(bank)?;
    let [_, features] = bank.dims();
    Some(dense_tensor([ids.len(), features], false, |to| {
        to.par_chunks_mut(features)
            .zip(ids)
            .for_each(|(to, id)| to.copy_from_slice(&dense[id * features..][..features]));
    }))
}

/// `exp(x)` within two units in the last place, for the compiler to vectorise; 0 below -87, and from 88 on what it is there.
///
/// `x = n ln 2 + r` with `|r|` at most half of `ln 2`, and the series of `exp(r)` to the seventh power.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking off 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > 88.0 { 88.0 } else { x };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = (series * r) * r + r + 1.0;
    // The last bits of the sum are n: shifted, they are the exponent of 2^n.
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { series * power }
}

/// `log(1 + x)` for x in [0, 1], within three units in the last place.
///
/// `2 artanh(s)` with `s = x / (2 + x)`, at most a third, by its series to the fifteenth power.
#[inline(always)]
fn log1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let square = s * s;
    let series = 2.0 / 15.0;
    let series = series * square + 2.0 / 13.0;
    let series = series * square + 2.0 / 11.0;
    let series = series * square + 2.0 / 9.0;
    let series = series * square + 2.0 / 7.0;
    let series = series * square + 2.0 / 5.0;
    let series = series * square + 2.0 / 3.0;
    (series * square) * s + 2.0 * s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units() {
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            let unit = 2f64.powi(-23) * expected;
            assert!((found - expected).abs() <= 2.0 * unit, "exp({x}) = {found}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(1000.0), exp(88.0));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_logarithm_is_right_to_three_units() {
        for i in 0..=1_000_000 {
            let x = i as f32 * 1e-6;
            let (found, expected) = (f64::from(log1p(x)), f64::from(x).ln_1p());
            let unit = 2f64.powi(-23) * expected;
            assert!(
                (found - expected).abs() <= 3.0 * unit,
                "log1p({x}) = {found}"
            );
        }
        assert_eq!(log1p(1e-30), 1e-30);
        assert!(log1p(f32::NAN).is_nan());
    }
}
