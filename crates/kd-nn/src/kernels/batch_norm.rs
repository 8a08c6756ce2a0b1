//! Batch norm over whole activations, in spans of pixels that do not depend on the number of threads. Sums within a span are f32;
//! those over spans are f64 and taken in order.

use std::ops::Range;

use rayon::prelude::*;

use super::conv::Shared;
use super::fill::{Gate, NormGradient};
use super::geometry::blocks;
use super::isa::Kernels;
use super::norm::{Affine, GradientSums};
use super::vector::LANES;

/// Floats of a span, about: 64 KB.
const SPAN: usize = 16 << 10;

/// `channels`, padded to whole blocks and one more: the vectors of a group begin at its first channel, which may be any.
pub(crate) fn padded(channels: usize) -> usize {
    (blocks(channels) + 1) * LANES
}

/// `values`, padded to whole blocks with zeros.
pub(crate) fn pad(values: &[f32]) -> Vec<f32> {
    let mut all = values.to_vec();
    all.resize(padded(values.len()), 0.0);
    all
}

fn spans(pixels: usize, channels: usize) -> Vec<Range<usize>> {
    let each = (SPAN / channels).max(1);
    (0..pixels)
        .step_by(each)
        .map(|first| first..(first + each).min(pixels))
        .collect()
}

/// Two sums a channel over some pixels.
pub(crate) struct Pair {
    pixels: usize,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Mean and biased variance of every channel, padded to whole blocks, over `pixels` pixels.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) pixels: usize,
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
}

/// Mean and sum of squared differences from it, of the pixels in `data`.
pub(crate) fn part(kernels: &Kernels, data: &[f32], channels: usize) -> Pair {
    let pixels = data.len() / channels;
    let mut pair = Pair {
        pixels,
        first: vec![0.0; padded(channels)],
        second: vec![0.0; padded(channels)],
    };
    // SAFETY: `data` holds `pixels · channels` floats, the sums whole blocks.
    #[allow(unsafe_code)]
    unsafe {
        (kernels.moments)(
            data.as_ptr(),
            pixels,
            channels,
            pair.first.as_mut_ptr(),
            pair.second.as_mut_ptr(),
        );
    }
    pair
}

/// The moments of all pixels from those of the parts, by Chan, Golub and LeVeque's pairwise update.
pub(crate) fn combine(parts: &[Pair]) -> Moments {
    let lanes = parts.first().map_or(0, |part| part.first.len());
    let mut moments = Moments {
        pixels: parts.iter().map(|part| part.pixels).sum(),
        mean: vec![0.0; lanes],
        variance: vec![0.0; lanes],
    };
    for lane in 0..lanes {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for part in parts {
            let (n, m) = (part.pixels as f64, f64::from(part.first[lane]));
            let (total, delta) = (count + n, m - mean);
            mean += delta * n / total;
            squares += f64::from(part.second[lane]) + delta * delta * count * n / total;
            count = total;
        }
        moments.mean[lane] = mean as f32;
        moments.variance[lane] = (squares / count) as f32;
    }
    moments
}

/// The moments of an activation.
pub(crate) fn moments(kernels: &Kernels, data: &[f32], channels: usize) -> Moments {
    let parts: Vec<Pair> = spans(data.len() / channels, channels)
        .par_iter()
        .map(|span| {
            part(
                kernels,
                &data[span.start * channels..span.end * channels],
                channels,
            )
        })
        .collect();
    combine(&parts)
}

/// Batch norm as one multiplication and one addition a number.
#[derive(Clone, Debug)]
pub(crate) struct Scaling {
    /// Padded to whole blocks; as `shift`.
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

impl Scaling {
    /// Changes nothing.
    pub(crate) fn identity(channels: usize) -> Self {
        Self {
            scale: vec![1.0; padded(channels)],
            shift: vec![0.0; padded(channels)],
        }
    }

    /// `gamma / √(variance + epsilon)`, and what makes the mean `beta`.
    pub(crate) fn new(
        mean: &[f32],
        variance: &[f32],
        gamma: &[f32],
        beta: &[f32],
        epsilon: f64,
    ) -> Self {
        let mut scaling = Self {
            scale: vec![0.0; padded(gamma.len())],
            shift: vec![0.0; padded(gamma.len())],
        };
        for c in 0..gamma.len() {
            let scale = f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt();
            scaling.scale[c] = scale as f32;
            scaling.shift[c] = (f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32;
        }
        scaling
    }

    /// Applies it, adds `addend` and takes ReLU as asked.
    pub(crate) fn apply(
        &self,
        kernels: &Kernels,
        from: &[f32],
        addend: Option<&[f32]>,
        relu: bool,
        to: &mut [f32],
        channels: usize,
    ) {
        assert_eq!(from.len(), to.len());
        assert_eq!(self.scale.len(), padded(channels));
        assert!(addend.is_none_or(|addend| addend.len() == from.len()));
        let to = Shared(to.as_mut_ptr());
        spans(from.len() / channels, channels)
            .par_iter()
            .for_each(|span| {
                let at = span.start * channels;
                let affine = Affine {
                    scale: self.scale.as_ptr(),
                    shift: self.shift.as_ptr(),
                    addend: addend.map_or(core::ptr::null(), |addend| addend[at..].as_ptr()),
                    relu,
                };
                // SAFETY: the lengths were checked above; spans share no pixel.
                #[allow(unsafe_code)]
                unsafe {
                    (kernels.affine)(
                        &affine,
                        from[at..].as_ptr(),
                        to.get().add(at),
                        span.len(),
                        channels,
                    );
                }
            });
    }
}

/// What the backward pass of batch norm needs from the forward pass.
pub(crate) struct Normalised<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) channels: usize,
    /// Batch norm's input.
    pub(crate) input: &'a [f32],
    pub(crate) moments: Moments,
    pub(crate) gamma: Vec<f32>,
    pub(crate) epsilon: f64,
    /// The moments are not the batch's own, so no gradient passes through them.
    pub(crate) fixed: bool,
}

/// The gradients of gamma and beta, and how that of the input follows from that of the output.
pub(crate) struct Gradients {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    /// As [`NormGradient`]'s.
    pub(crate) scale: Vec<f32>,
    pub(crate) slope: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

impl<'a> Normalised<'a> {
    /// Batch norm that changes nothing.
    pub(crate) fn identity(kernels: &'a Kernels, channels: usize, input: &'a [f32]) -> Self {
        Self {
            kernels,
            channels,
            input,
            moments: Moments {
                pixels: input.len() / channels,
                mean: vec![0.0; padded(channels)],
                variance: vec![1.0; padded(channels)],
            },
            gamma: vec![1.0; channels],
            epsilon: 0.0,
            fixed: true,
        }
    }

    /// The gradients of gamma and beta, and what that of the input needs, from the gradient of the output. The part of it that passes
    /// the gate is written to `gated` if given.
    pub(crate) fn gradients(
        &self,
        gradient: &[f32],
        gate: Gate<'_>,
        gated: Option<&mut [f32]>,
    ) -> Gradients {
        assert_eq!(gradient.len(), self.input.len());
        assert!(
            gated
                .as_ref()
                .is_none_or(|gated| gated.len() == gradient.len())
        );
        let gated = Shared(gated.map_or(core::ptr::null_mut(), |gated| gated.as_mut_ptr()));
        let gradient = Shared((gradient.as_ptr(), gradient.len()));
        let parts: Vec<Pair> = spans(gradient.get().1 / self.channels, self.channels)
            .into_par_iter()
            // SAFETY: the lengths were checked above; spans share no pixel.
            .map(|span| {
                #[allow(unsafe_code)]
                unsafe {
                    self.part(gradient.get().0, span, gate, gated.get())
                }
            })
            .collect();
        self.finish(&parts)
    }

    /// The sums over some pixels that [`Self::finish`] adds up. `gated` may be null.
    ///
    /// # Safety
    /// `gradient` is valid for reads, and `gated` for writes, of those pixels.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn part(
        &self,
        gradient: *const f32,
        pixels: Range<usize>,
        gate: Gate<'_>,
        gated: *mut f32,
    ) -> Pair {
        let channels = self.channels;
        let mut pair = Pair {
            pixels: pixels.len(),
            first: vec![0.0; padded(channels)],
            second: vec![0.0; padded(channels)],
        };
        assert!(pixels.end * channels <= self.input.len());
        if let Gate::Output(output) = gate {
            assert_eq!(output.len(), self.input.len());
        }
        let sums = GradientSums {
            gradient,
            input: self.input.as_ptr(),
            gate,
            gated,
            mean: self.moments.mean.as_ptr(),
        };
        unsafe {
            (self.kernels.gradient_sums)(
                &sums,
                pixels,
                channels,
                pair.first.as_mut_ptr(),
                pair.second.as_mut_ptr(),
            );
        }
        pair
    }

    /// From the sums over all pixels, taken in parts.
    pub(crate) fn finish(&self, parts: &[Pair]) -> Gradients {
        let channels = self.channels;
        let total = |lane: usize, of: fn(&Pair) -> &[f32]| -> f64 {
            parts.iter().map(|part| f64::from(of(part)[lane])).sum()
        };
        let pixels = self.moments.pixels as f64;
        let mut out = Gradients {
            gamma: vec![0.0; channels],
            beta: vec![0.0; channels],
            scale: vec![0.0; padded(channels)],
            slope: vec![0.0; padded(channels)],
            shift: vec![0.0; padded(channels)],
        };
        for c in 0..channels {
            let inverse = 1.0 / (f64::from(self.moments.variance[c]) + self.epsilon).sqrt();
            let sum = total(c, |part| &part.first);
            let product = total(c, |part| &part.second);
            let scale = f64::from(self.gamma[c]) * inverse;
            out.gamma[c] = (product * inverse) as f32;
            out.beta[c] = sum as f32;
            out.scale[c] = scale as f32;
            if self.fixed {
                continue;
            }
            out.slope[c] = (-scale * product * inverse * inverse / pixels) as f32;
            out.shift[c] = (-scale * sum / pixels) as f32;
        }
        out
    }
}

impl Gradients {
    /// How the gradient of batch norm's input follows from that of its output.
    pub(crate) fn norm<'a>(&'a self, of: &'a Normalised<'_>, gate: Gate<'a>) -> NormGradient<'a> {
        NormGradient {
            input: of.input,
            gate,
            mean: &of.moments.mean,
            scale: &self.scale,
            slope: &self.slope,
            shift: &self.shift,
        }
    }
}

/// Writes the gradient of batch norm's input.
pub(crate) fn input_gradient(
    kernels: &Kernels,
    norm: &NormGradient<'_>,
    gradient: &[f32],
    to: &mut [f32],
    channels: usize,
) {
    assert_eq!(gradient.len(), to.len());
    assert_eq!(gradient.len(), norm.input.len());
    if let Gate::Output(output) = norm.gate {
        assert_eq!(output.len(), gradient.len());
    }
    let to = Shared(to.as_mut_ptr());
    spans(gradient.len() / channels, channels)
        .par_iter()
        .for_each(|span| {
            // SAFETY: the lengths were checked above; spans share no pixel.
            #[allow(unsafe_code)]
            unsafe {
                (kernels.input_gradient)(norm, gradient.as_ptr(), to.get(), span.clone(), channels);
            }
        });
}
