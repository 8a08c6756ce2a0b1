//! FMix.

use std::cell::RefCell;

use rand_distr::{Distribution, StandardNormal};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::{Pairing, one, permutation};
use crate::error::{self, AugmentError};
use crate::stream::Stream;

/// With probability `p`, pastes a random shape of the partner over the image: the pixels where a low-frequency random image is
/// highest keep the image, in the share λ ~ Beta(alpha, alpha); the rest are the partner's.
///
/// Harris, Marcu, Painter, Niranjan, Prügel-Bennett, Hare, "FMix: Enhancing Mixed Sample Data Augmentation", 2020, section 4.1:
/// normal noise in the Fourier domain, divided by frequency^decay, transformed back and cut at the quantile of λ. The lambda in
/// the plan is the share of pixels that really remain: λ · pixels is rounded up or down, either being as likely.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FMix {
    /// Both parameters of the Beta distribution, above 0 and at most 10⁶; 1 (uniform) if not given.
    #[serde(default = "one")]
    pub alpha: f64,
    /// Power of the frequency that its amplitude is divided by, in [0, 10]; 3 if not given. More makes larger shapes.
    #[serde(default = "three")]
    pub decay: f64,
    /// The share that is kept, in [0, 1], instead of a draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Who is mixed with whom; a plain permutation if not given, as in the authors' code.
    #[serde(default = "permutation")]
    pub pairing: Pairing,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "one")]
    pub p: f64,
}

fn three() -> f64 {
    3.0
}

impl Default for FMix {
    fn default() -> Self {
        Self {
            alpha: one(),
            decay: three(),
            lambda: None,
            pairing: permutation(),
            p: one(),
        }
    }
}

impl FMix {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        error::probability("fmix.p", self.p)?;
        match (0.0..=10.0).contains(&self.decay) {
            true => Ok(()),
            false => Err(AugmentError::OutOfRange {
                field: "fmix.decay",
                value: self.decay,
                range: "between 0 and 10",
            }),
        }
    }
}

/// Memory of one thread.
struct Scratch {
    planner: FftPlanner<f32>,
    spectrum: Vec<Complex32>,
    line: Vec<Complex32>,
    fft: Vec<Complex32>,
    image: Vec<f32>,
    order: Vec<u32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        planner: FftPlanner::new(),
        spectrum: Vec::new(),
        line: Vec::new(),
        fft: Vec::new(),
        image: Vec::new(),
        order: Vec::new(),
    });
}

/// Draws a mask that keeps the share `lambda`: calls `foreign` with every pixel of the partner and returns how many these are.
pub(super) fn draw(
    stream: &mut Stream,
    lambda: f64,
    decay: f64,
    size: [usize; 2],
    mut foreign: impl FnMut(usize),
) -> usize {
    let pixels = size[0] * size[1];
    let kept = lambda * pixels as f64;
    let up = stream.chance(0.5);
    let kept = (if up { kept.ceil() } else { kept.floor() } as usize).min(pixels);
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.low_frequency_image(stream, decay, size);
        let Scratch { image, order, .. } = scratch;
        order.clear();
        order.extend(0..pixels as u32);
        let level = |pixel: &u32| image[*pixel as usize];
        if kept > 0 && kept < pixels {
            // Equal levels in the order of their pixels, so that the mask does not depend on how the selection works.
            order.select_nth_unstable_by(kept, |a, b| level(b).total_cmp(&level(a)).then(a.cmp(b)));
        }
        for pixel in &order[kept..] {
            foreign(*pixel as usize);
        }
    });
    pixels - kept
}

impl Scratch {
    /// The real inverse Fourier transform of noise whose amplitude falls with the frequency.
    fn low_frequency_image(&mut self, stream: &mut Stream, decay: f64, [h, w]: [usize; 2]) {
        let half = w / 2 + 1;
        let lowest = 1.0 / h.max(w) as f64;
        let frequency = |k: usize, n: usize| k.min(n - k) as f64 / n as f64;
        // Column by column: the first transform runs along them.
        self.spectrum.clear();
        for l in 0..half {
            for k in 0..h {
                let distance = frequency(l, w).hypot(frequency(k, h)).max(lowest);
                // Relative to the lowest frequency, so that single precision has room.
                let amplitude = (lowest / distance).powf(decay) as f32;
                let mut normal = || -> f32 { StandardNormal.sample(stream) };
                self.spectrum
                    .push(Complex32::new(normal(), normal()) * amplitude);
            }
        }
        let columns = self.planner.plan_fft_inverse(h);
        let rows = self.planner.plan_fft_inverse(w);
        let scratch = columns
            .get_inplace_scratch_len()
            .max(rows.get_inplace_scratch_len());
        self.fft.resize(scratch, Complex32::default());
        columns.process_with_scratch(&mut self.spectrum, &mut self.fft);
        self.image.clear();
        for y in 0..h {
            // The other half of a row of a real image is the conjugate of this one.
            self.line.clear();
            for l in 0..w {
                let value = match l < half {
                    true => self.spectrum[l * h + y],
                    false => self.spectrum[(w - l) * h + y].conj(),
                };
                self.line.push(value);
            }
            rows.process_with_scratch(&mut self.line, &mut self.fft);
            self.image.extend(self.line.iter().map(|value| value.re));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::DrawKey;
    use crate::stream::Purpose;

    #[test]
    fn shares_are_exact_and_shapes_are_large() {
        for (size, lambda) in [
            ([32, 32], 0.3),
            ([17, 9], 0.5),
            ([1, 1], 0.5),
            ([64, 3], 0.9),
        ] {
            let pixels = size[0] * size[1];
            for id in 0..20 {
                let stream = &mut Stream::new(&DrawKey::new(0), Purpose::Mix, id);
                let mut mask = vec![false; pixels];
                let foreign = draw(stream, lambda, 3.0, size, |pixel| mask[pixel] = true);
                assert_eq!(mask.iter().filter(|foreign| **foreign).count(), foreign);
                assert!((foreign as f64 - (1.0 - lambda) * pixels as f64).abs() < 1.0);
                if size == [32, 32] {
                    // Neighbours agree: with decay 3 borders are short. White noise would change at 42 % of the steps.
                    let changes = (0..pixels - 1).filter(|i| mask[*i] != mask[i + 1]).count();
                    assert!(changes * 5 < pixels, "{changes}");
                }
            }
        }
    }

    /// Against the definition, term by term.
    #[test]
    fn the_transform_is_the_inverse_of_half_a_spectrum() {
        let (h, w) = (6, 5);
        let mut scratch = Scratch {
            planner: FftPlanner::new(),
            spectrum: Vec::new(),
            line: Vec::new(),
            fft: Vec::new(),
            image: Vec::new(),
            order: Vec::new(),
        };
        let stream = || Stream::new(&DrawKey::new(1), Purpose::Mix, 0);
        scratch.low_frequency_image(&mut stream(), 0.0, [h, w]);
        // Decay 0 leaves the normal numbers as they are: real and imaginary parts, column by column.
        let stream = &mut stream();
        let mut spectrum = vec![(0.0, 0.0); h * w];
        for l in 0..w / 2 + 1 {
            for k in 0..h {
                let mut normal = || -> f32 { StandardNormal.sample(stream) };
                spectrum[k * w + l] = (f64::from(normal()), f64::from(normal()));
            }
        }
        for y in 0..h {
            for x in 0..w {
                let mut sum = 0.0;
                for k in 0..h {
                    for l in 0..w / 2 + 1 {
                        let (re, im) = spectrum[k * w + l];
                        let turn = (k * y) as f64 / h as f64 + (l * x) as f64 / w as f64;
                        let angle = turn * core::f64::consts::TAU;
                        // A real image holds every term and its conjugate, but the constant one once.
                        let weight = if l == 0 { 1.0 } else { 2.0 };
                        sum += weight * (re * angle.cos() - im * angle.sin());
                    }
                }
                let found = f64::from(scratch.image[y * w + x]);
                assert!((found - sum).abs() < 1e-4, "{found} {sum}");
            }
        }
    }

    #[test]
    fn decays_are_bounded() {
        assert!(FMix::default().check().is_ok());
        let negative = FMix {
            decay: -1.0,
            ..FMix::default()
        };
        assert!(negative.check().is_err());
    }
}
