//! Batch norm's passes.

use super::case::*;
use super::guarded::*;
use super::{bits, sets};
use crate::kernels::batch_norm::{self, Normalised, Scaling, padded};
use crate::kernels::fill::{Gate, NormGradient};
use crate::kernels::isa::Kernels;

const WIDTHS: [usize; 8] = [1, 3, 5, 16, 17, 33, 48, 100];
const PIXELS: [usize; 9] = [1, 2, 3, 4, 5, 63, 66, 700, 5000];

/// Numbers of about normal distribution with the given mean and deviation for each channel.
fn spread(pixels: usize, channels: usize, mean: f64, deviation: f64) -> Vec<f32> {
    let parts = [1, 2, 3, 4].map(|seed| numbers(pixels * channels, seed + pixels as u64));
    (0..pixels * channels)
        .map(|i| {
            let c = (i % channels) as f64;
            // The sum of four uniform numbers has a variance of 4/3.
            let sum: f64 = parts.iter().map(|part| f64::from(part[i])).sum();
            (mean * (1.0 + c / 100.0) + deviation * sum * 0.866) as f32
        })
        .collect()
}

/// Mean and biased variance of every channel.
fn exact_moments(data: &[f32], channels: usize) -> Vec<[f64; 2]> {
    let pixels = (data.len() / channels) as f64;
    let column = |c: usize| data[c..].iter().step_by(channels).map(|&v| f64::from(v));
    (0..channels)
        .map(|c| {
            let mean = column(c).sum::<f64>() / pixels;
            let variance = column(c).map(|v| (v - mean).powi(2)).sum::<f64>() / pixels;
            [mean, variance]
        })
        .collect()
}

/// The relative error of the variance stays below 1e-4 where the mean is a thousand deviations away, where a difference of sums of
/// squares would lose everything: squares of 1e6 have a rounding error of 0.06.
#[test]
fn moments() {
    for (isa, kernels) in sets() {
        for channels in WIDTHS {
            for pixels in PIXELS {
                for (mean, deviation) in [(0.0, 1.0), (-3.0, 0.1), (1e3, 1.0)] {
                    for side in SIDES {
                        let data = spread(pixels, channels, mean, deviation);
                        let data = Guarded::new(&data, side);
                        let found = batch_norm::moments(kernels, &data, channels);
                        assert_eq!(found.pixels, pixels);
                        // The whole in one part as well, its results against the page.
                        let [mut means, mut squares] =
                            [(); 2].map(|()| Guarded::unwritten(padded(channels), side));
                        // SAFETY: the lengths are right, and `sets` gives what this machine has.
                        unsafe {
                            (kernels.moments)(
                                data.as_ptr(),
                                pixels,
                                channels,
                                means.as_mut_ptr(),
                                squares.as_mut_ptr(),
                            );
                        }
                        for (c, exact) in exact_moments(&data, channels).iter().enumerate() {
                            let what = format!("{isa:?} {channels} {pixels} {mean} {c}: {exact:?}");
                            let parts = [found.mean[c], found.variance[c]];
                            let whole = [means[c], squares[c] / pixels as f32];
                            for found in [parts, whole] {
                                let [mean_error, variance_error] =
                                    [0, 1].map(|i| (f64::from(found[i]) - exact[i]).abs());
                                // A part's mean is a sum in f32 of up to 5 000 numbers.
                                let size = exact[0].abs().max(deviation);
                                assert!(mean_error <= 4e-6 * size, "{what} {found:?}");
                                // One pixel has the variance 0 exactly.
                                assert!(variance_error <= 1e-4 * exact[1], "{what} {found:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn scaling_addition_and_relu() {
    for (isa, kernels) in sets() {
        for channels in WIDTHS {
            for pixels in PIXELS {
                for options in 0..4 {
                    let (adds, relu) = (options & 1 > 0, options & 2 > 0);
                    for side in SIDES {
                        let len = pixels * channels;
                        let [x, addend] =
                            [1, 2].map(|seed| Guarded::new(&numbers(len, seed), side));
                        let [scale, shift] = [3, 4].map(|seed| per_channel(channels, seed));
                        let scaling = GuardedScaling::new(&scale, &shift, side);
                        let mut to = Guarded::unwritten(len, side);
                        let added = adds.then_some(&*addend);
                        let scaling = &scaling.scaling;
                        scaling.apply(kernels, &x, added, relu, &mut to, channels);
                        for i in 0..len {
                            let c = i % channels;
                            let plain = x[i] * scale[c] + shift[c];
                            let sum = plain + if adds { addend[i] } else { 0.0 };
                            // All exact.
                            let expected = if relu { sum.max(0.0) } else { sum };
                            assert_eq!(to[i], expected, "{isa:?} {channels} {pixels} {i}");
                        }
                    }
                }
            }
        }
    }
}

/// ReLU and what adds up to its input let NaN pass, so that a diverging training shows.
#[test]
fn nan_is_kept() {
    for (isa, kernels) in sets() {
        for channels in [5, 16, 33] {
            let mut x = numbers(7 * channels, 1);
            x[2 * channels + 3] = f32::NAN;
            let scaling = Scaling::identity(channels);
            let mut to = vec![0.0; x.len()];
            scaling.apply(kernels, &x, None, true, &mut to, channels);
            let expected: Vec<f32> = x.iter().map(|&x| if x < 0.0 { 0.0 } else { x }).collect();
            assert_eq!(bits(&to), bits(&expected), "{isa:?}");
        }
    }
}

/// The way back lets a gradient pass where the output is not a number, as PyTorch's does.
#[test]
fn a_gradient_passes_where_the_output_is_nan() {
    for (isa, kernels) in sets() {
        for channels in [5, 16, 33] {
            let (mut output, gradient) = (numbers(7 * channels, 1), numbers(7 * channels, 2));
            output[2 * channels + 3] = f32::NAN;
            let expected: Vec<f32> = output
                .iter()
                .zip(&gradient)
                .map(|(&output, &g)| if output <= 0.0 { 0.0 } else { g })
                .collect();
            let mut gated = vec![0.0; output.len()];
            let of = Normalised::identity(kernels, channels, &output);
            of.gradients(&gradient, Gate::Output(&output), Some(&mut gated));
            assert_eq!(bits(&gated), bits(&expected), "{isa:?}");
            // The same where the output is computed again.
            let scaling = Scaling::identity(channels);
            of.gradients(&gradient, Gate::Again(&scaling), Some(&mut gated));
            assert_eq!(bits(&gated), bits(&expected), "{isa:?}");
        }
    }
}

/// `(x - mean) / √(variance + ε) · γ + β` and ReLU, backward, by the textbook.
#[test]
fn batch_norm_backward() {
    for (isa, kernels) in sets() {
        for channels in WIDTHS {
            for pixels in PIXELS {
                for (turn, gradient_kind) in GRADIENTS.into_iter().enumerate() {
                    let what = format!("{isa:?} {channels} {pixels} {gradient_kind:?}");
                    batch_norm_backward_of(
                        kernels,
                        [pixels, channels],
                        gradient_kind,
                        (turn + pixels) % 2 == 0,
                        SIDES[(turn + channels) % 2],
                    )
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                }
            }
        }
    }
}

fn batch_norm_backward_of(
    kernels: &Kernels,
    [pixels, channels]: [usize; 2],
    kind: Gradient,
    fixed: bool,
    side: Side,
) -> Result<(), String> {
    // Large enough that one pixel, of variance 0, has gradients of a size that f32 holds.
    let epsilon = 1e-3;
    let len = pixels * channels;
    let input = Guarded::new(&spread(pixels, channels, 0.7, 1.3), side);
    let gradient = Guarded::new(&numbers(len, 21), side);
    let relu_output = Guarded::new(&numbers(len, 22), side);
    let [again_scale, again_shift] = [23, 24].map(|seed| per_channel(channels, seed));
    let again = GuardedScaling::new(&again_scale, &again_shift, side);
    let gamma = numbers(channels, 25);
    let of = Normalised {
        kernels,
        channels,
        input: &input,
        moments: batch_norm::moments(kernels, &input, channels),
        gamma: gamma.clone(),
        epsilon,
        fixed,
    };
    let gate = match kind {
        Gradient::Output => Gate::Output(&relu_output),
        Gradient::Again => Gate::Again(&again.scaling),
        _ => Gate::Open,
    };
    let mut gated = Guarded::unwritten(len, side);
    let plain = of.gradients(&gradient, gate, None);
    let sums = of.gradients(&gradient, gate, Some(&mut gated));
    assert_eq!(bits(&plain.gamma), bits(&sums.gamma));
    assert_eq!(bits(&plain.beta), bits(&sums.beta));

    let passes = |i: usize| match kind {
        Gradient::Output => relu_output[i] > 0.0,
        // As the kernels compute it; the input is not a multiple of 1/64 here, so a fused product may have another sign.
        Gradient::Again => gated[i] != 0.0,
        _ => true,
    };
    if matches!(kind, Gradient::Again) {
        for i in 0..len {
            let c = i % channels;
            let [x, scale, shift] = [input[i], again_scale[c], again_shift[c]].map(f64::from);
            let before = x * scale + shift;
            if before.abs() > 1e-5 && gradient[i] != 0.0 {
                assert_eq!(passes(i), before > 0.0, "{i}: {before}");
            }
        }
    }
    let behind: Vec<f64> = (0..len)
        .map(|i| {
            if passes(i) {
                f64::from(gradient[i])
            } else {
                0.0
            }
        })
        .collect();
    close(&gated, &behind)?;

    let exact = exact_moments(&input, channels);
    let n = pixels as f64;
    let mut to_gamma = vec![0.0; channels];
    let mut to_beta = vec![0.0; channels];
    let mut to_input = vec![0.0; len];
    let mut magnitudes = [0.0_f64; 2];
    let mut size = 0.0_f64;
    for c in 0..channels {
        let [mean, variance] = exact[c];
        let inverse = 1.0 / (variance + epsilon).sqrt();
        let normal = |i: usize| (f64::from(input[i]) - mean) * inverse;
        let of_channel = || (c..len).step_by(channels);
        to_beta[c] = of_channel().map(|i| behind[i]).sum();
        to_gamma[c] = of_channel().map(|i| behind[i] * normal(i)).sum();
        for (magnitude, sum) in magnitudes.iter_mut().zip([
            of_channel()
                .map(|i| (behind[i] * normal(i)).abs())
                .sum::<f64>(),
            of_channel().map(|i| behind[i].abs()).sum(),
        ]) {
            *magnitude = magnitude.max(sum);
        }
        let scale = f64::from(gamma[c]) * inverse;
        for i in of_channel() {
            let through_moments = match fixed {
                true => 0.0,
                false => to_beta[c] / n + normal(i) * to_gamma[c] / n,
            };
            to_input[i] = scale * (behind[i] - through_moments);
            size = size.max((scale * behind[i]).abs());
        }
    }
    // Sums may cancel: their error goes by the sum of magnitudes.
    let sums_are_close = |found: &[f32], expected: &[f64], magnitude: f64| {
        let error = found
            .iter()
            .zip(expected)
            .map(|(found, expected)| (f64::from(*found) - expected).abs())
            .fold(0.0, f64::max);
        match error <= 3e-6 * magnitude {
            true => Ok(()),
            false => Err(format!("sums differ by {error}, of magnitudes {magnitude}")),
        }
    };
    sums_are_close(&sums.gamma, &to_gamma, magnitudes[0])?;
    sums_are_close(&sums.beta, &to_beta, magnitudes[1])?;

    // The difference of numbers that may cancel: of one pixel it is 0.
    let vectors =
        [&of.moments.mean, &sums.scale, &sums.slope, &sums.shift].map(|v| Guarded::new(v, side));
    let norm = NormGradient {
        input: &input,
        gate,
        mean: &vectors[0],
        scale: &vectors[1],
        slope: &vectors[2],
        shift: &vectors[3],
    };
    let mut to = Guarded::unwritten(len, side);
    batch_norm::input_gradient(kernels, &norm, &gradient, &mut to, channels);
    for i in 0..len {
        let error = (f64::from(to[i]) - to_input[i]).abs();
        if error.is_nan() || error > 1e-5 * size {
            return Err(format!("input {i}: {}, expected {}", to[i], to_input[i]));
        }
    }
    Ok(())
}
