//! From u8 levels to floats: [0, 1], or normalised.

use serde::{Deserialize, Serialize};

use crate::error::AugmentError;

/// How a u8 level becomes a float: [0, 1], or the affine map of a normalisation.
///
/// - [`Affine::unit`]: level / 255, correctly rounded. What networks that normalise by themselves expect.
/// - [`Affine::normalize`]: (level / 255 − mean) / std for each channel, computed as `level · scale + bias` in f32.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    channels: Option<Vec<Line>>,
}

/// x ↦ x · scale + bias, for x in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) scale: f32,
    pub(crate) bias: f32,
}

impl Affine {
    /// level / 255 for every channel.
    pub fn unit() -> Self {
        Self { channels: None }
    }

    /// (x − mean) / std for each channel, x in [0, 1].
    ///
    /// # Errors
    /// `mean` and `std` differ in length or are empty; a mean is not finite; a std is not a normal number above 0.
    pub fn normalize(mean: &[f32], std: &[f32]) -> Result<Self, AugmentError> {
        if mean.len() != std.len() {
            return Err(AugmentError::Length {
                what: "std",
                expected: mean.len(),
                found: std.len(),
            });
        }
        if mean.is_empty() {
            return Err(AugmentError::Length {
                what: "mean",
                expected: 1,
                found: 0,
            });
        }
        let mut lines = Vec::with_capacity(mean.len());
        for (&mean, &std) in mean.iter().zip(std) {
            if !mean.is_finite() {
                return Err(AugmentError::OutOfRange {
                    field: "normalize.mean",
                    value: f64::from(mean),
                    range: "finite",
                });
            }
            if !(std.is_normal() && std > 0.0) {
                return Err(AugmentError::OutOfRange {
                    field: "normalize.std",
                    value: f64::from(std),
                    range: "finite and above 0",
                });
            }
            let scale = 1.0 / f64::from(std);
            lines.push(Line {
                scale: scale as f32,
                bias: (-f64::from(mean) * scale) as f32,
            });
        }
        Ok(Self {
            channels: Some(lines),
        })
    }

    /// Whether this is [`Affine::unit`].
    pub fn is_unit(&self) -> bool {
        self.channels.is_none()
    }

    /// The lines of all channels; none for [0, 1].
    pub(crate) fn lines(&self) -> Option<&[Line]> {
        self.channels.as_deref()
    }

    /// Whether it fits images of this many channels.
    pub(crate) fn check(&self, channels: usize) -> Result<(), AugmentError> {
        match &self.channels {
            Some(lines) if lines.len() != channels => Err(AugmentError::Length {
                what: "the normalisation",
                expected: channels,
                found: lines.len(),
            }),
            _ => Ok(()),
        }
    }

    /// Writes the floats of one channel's `levels`.
    #[inline(always)]
    pub(crate) fn convert(&self, channel: usize, levels: &[u8], out: &mut [f32]) {
        match self.line(channel) {
            None => {
                for (out, &level) in out.iter_mut().zip(levels) {
                    *out = unit(level);
                }
            }
            Some(line) => {
                for (out, &level) in out.iter_mut().zip(levels) {
                    *out = line.at(level);
                }
            }
        }
    }

    /// The map of one channel's levels; none for level / 255.
    #[inline(always)]
    pub(crate) fn line(&self, channel: usize) -> Option<Line> {
        self.channels.as_ref().map(|lines| Line {
            scale: lines[channel].scale / 255.0,
            ..lines[channel]
        })
    }
}

impl Line {
    /// level · scale + bias.
    #[inline(always)]
    pub(crate) fn at(&self, level: u8) -> f32 {
        f32::from(level) * self.scale + self.bias
    }
}

/// The short head of 1/255: its product with a level is exact.
pub(crate) const HEAD: f32 = 257.0 / 65536.0;
/// 1/255 without its head.
pub(crate) const TAIL: f32 = (1.0 / 255.0 - 257.0 / 65536.0) as f32;

/// level / 255, correctly rounded, without a division.
#[inline(always)]
pub(crate) fn unit(level: u8) -> f32 {
    let level = f32::from(level);
    level * HEAD + level * TAIL
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn unit_is_the_correctly_rounded_quotient_of_every_level() {
        for level in 0..=u8::MAX {
            let expected = f32::from(level) / 255.0;
            assert_eq!(unit(level), expected, "{level}");
            // A device that fuses multiplication and addition gives the same.
            let level = f32::from(level);
            assert_eq!(level.mul_add(HEAD, level * TAIL), expected, "{level}");
            assert_eq!(level.mul_add(TAIL, level * HEAD), expected, "{level}");
        }
    }

    #[test]
    fn normalisation_is_mean_and_std() {
        let affine = Affine::normalize(&[0.4914, 0.5], &[0.247, 0.25]).unwrap();
        let mut out = [0.0];
        for (channel, mean, std) in [(0, 0.4914, 0.247), (1, 0.5, 0.25)] {
            for level in 0..=u8::MAX {
                affine.convert(channel, &[level], &mut out);
                let expected = (f64::from(level) / 255.0 - mean) / std;
                assert!(
                    (f64::from(out[0]) - expected).abs() < 5e-7,
                    "{level}: {} {expected}",
                    out[0]
                );
            }
        }
    }

    #[test]
    fn impossible_statistics_are_refused() {
        assert!(Affine::normalize(&[], &[]).is_err());
        assert!(Affine::normalize(&[0.5], &[0.5, 0.5]).is_err());
        assert!(Affine::normalize(&[f32::NAN], &[0.5]).is_err());
        let message = Affine::normalize(&[0.5], &[0.0]).unwrap_err().to_string();
        assert_eq!(
            message,
            "normalize.std is 0, but must be finite and above 0"
        );
        assert!(Affine::normalize(&[0.5], &[0.5]).unwrap().check(3).is_err());
    }
}
