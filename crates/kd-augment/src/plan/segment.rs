//! One step on one image.

use serde::{Deserialize, Serialize};

use super::{Fill, Gather, PixelBox};
use crate::images::MAX_SIDE;

/// One step on one image. Between steps pixels are u8.
///
/// Parameters are concrete: what was drawn, not what it was drawn from. Every step follows Pillow's arithmetic, which is what
/// the authors of AutoAugment and RandAugment trained with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Segment {
    /// Pixels move by whole pixels; zeros come in.
    Gather(Gather),
    /// Pixels move by whole pixels; the image continues beyond its border.
    Shift(Shift),
    /// Pixels are read at the places that an affine map gives.
    Warp(Warp),
    /// A region is stretched to the size of the image.
    Resize(Resize),
    /// Each level becomes another, the same for every image.
    Point(PointOp),
    /// Each level becomes another, depending on the image.
    Adapt(Adaptive),
    /// Blends with the grey image.
    Color(Enhance),
    /// Every channel becomes the luminance.
    Grayscale,
    /// Turns the hue.
    Hue(Hue),
    /// Blends with the smoothed image.
    Sharpness(Enhance),
    /// A Gaussian filter.
    Blur(Blur),
    /// Normal noise on every level.
    Noise(Noise),
    /// A box is painted over.
    Erase(Erase),
}

/// out(x, y) = in(x + dx, y + dy), where the image goes on beyond its border as `border` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Source column of column 0; below the width in size.
    pub dx: i32,
    /// Source row of row 0; below the height in size.
    pub dy: i32,
    /// What stands beyond the border.
    pub border: Border,
}

/// How an image goes on beyond its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Border {
    /// Mirrored at the outermost pixels, which are not repeated: `c b | a b c | b a`.
    Reflect,
    /// The outermost pixels are repeated: `a a | a b c | c c`.
    Replicate,
}

impl Border {
    /// The coordinate in `0..size` that stands at `v`, for −size < v < 2·size − 1.
    #[inline]
    pub(crate) fn fold(self, v: i32, size: i32) -> i32 {
        match self {
            Self::Reflect if v < 0 => -v,
            Self::Reflect if v >= size => 2 * (size - 1) - v,
            Self::Reflect => v,
            Self::Replicate => v.clamp(0, size - 1),
        }
    }
}

/// out(x, y) = in(a·x + b·y + c, d·x + e·y + f) in coordinates whose unit is a pixel and whose pixel centres lie at halves;
/// `fill` where that is outside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warp {
    /// `[a, b, c, d, e, f]`, the map from the output to the input.
    pub matrix: [f64; 6],
    /// How levels between pixels are found.
    pub interpolation: Interpolation,
    /// What stands outside the image.
    pub fill: Fill,
}

/// The largest entry of a [`Warp`]'s matrix.
pub(crate) const MAX_ENTRY: f64 = 1e9;

impl Warp {
    pub(crate) const IDENTITY: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

    /// This map, then `next`, as one resampling; `None` where they interpolate or fill differently.
    pub(crate) fn then(&self, next: &Self) -> Option<Self> {
        let interpolation = match (self.moves_whole_pixels(), next.moves_whole_pixels()) {
            (true, _) => next.interpolation,
            (_, true) => self.interpolation,
            _ if self.interpolation == next.interpolation => self.interpolation,
            _ => return None,
        };
        if self.fill != next.fill {
            return None;
        }
        let [a, b, c, d, e, f] = self.matrix;
        let [na, nb, nc, nd, ne, nf] = next.matrix;
        Some(Self {
            matrix: [
                a * na + b * nd,
                a * nb + b * ne,
                a * nc + b * nf + c,
                d * na + e * nd,
                d * nb + e * ne,
                d * nc + e * nf + f,
            ],
            interpolation,
            fill: self.fill,
        })
    }

    /// Whether no interpolation is needed.
    fn moves_whole_pixels(&self) -> bool {
        let [a, b, c, d, e, f] = self.matrix;
        [a, b, d, e] == [1.0, 0.0, 0.0, 1.0] && c.fract() == 0.0 && f.fract() == 0.0
    }

    fn fits(&self, channels: usize) -> bool {
        self.matrix.iter().all(|v| v.abs() <= MAX_ENTRY) && self.fill.fits(channels)
    }
}

/// How levels between pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearest pixel. Exact.
    #[default]
    Nearest,
    /// A weighted mean of the four nearest.
    Bilinear,
}

/// `area`, stretched to the size of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The part that is shown; not empty.
    pub area: PixelBox,
    /// How levels between pixels are found.
    pub interpolation: Interpolation,
}

/// A map of levels that is the same for every image and channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PointOp {
    /// level · factor, truncated and clamped; from 0, black, through 1, unchanged.
    Brightness(f32),
    /// Keeps so many of the highest bits, 0 to 8.
    Posterize(u8),
    /// Levels from this one on, 0 to 256, become 255 − level.
    Solarize(u16),
    /// 255 − level.
    Invert,
}

/// A map of levels that depends on the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Adaptive {
    /// Stretches each channel to the whole range of levels.
    AutoContrast,
    /// Makes the levels of each channel equally frequent.
    Equalize,
    /// Blends with the image's mean luminance; from 0, plain grey, through 1, unchanged.
    Contrast(f32),
}

/// A blend of the image with a degenerate form of itself: degenerate + factor · (image − degenerate), truncated and clamped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enhance {
    /// 0 gives the degenerate form, 1 the image.
    pub factor: f32,
}

/// A turn of the hue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hue {
    /// In 256ths of a full turn.
    pub turn: u8,
}

/// A Gaussian filter of `2 · radius + 1` pixels a side, the image mirrored at its border.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blur {
    /// Pixels on each side of the centre, below both sides of the image.
    pub radius: u32,
    /// Standard deviation, in pixels, above 0.
    pub sigma: f32,
}

/// level + 255 · (mean + sigma · z), rounded and clamped, z normal and independent in every element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Mean, where 1 is the whole range of levels.
    pub mean: f32,
    /// Standard deviation, where 1 is the whole range of levels.
    pub sigma: f32,
    /// Names the noise: equal keys give equal noise.
    pub key: [u64; 4],
}

/// Paints `area` with `fill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The pixels that go.
    pub area: PixelBox,
    /// What comes in their place.
    pub fill: Fill,
}

impl Segment {
    /// Whether nothing changes in an image of this shape.
    pub(crate) fn is_identity(&self, [c, h, w]: [usize; 3]) -> bool {
        match self {
            Self::Gather(gather) => gather.is_identity(h, w),
            Self::Shift(shift) => (shift.dx, shift.dy) == (0, 0),
            Self::Warp(warp) => warp.matrix == Warp::IDENTITY,
            Self::Resize(resize) => resize.area == PixelBox::full(h, w),
            Self::Point(PointOp::Brightness(factor)) => *factor == 1.0,
            Self::Point(PointOp::Posterize(bits)) => *bits >= 8,
            Self::Point(PointOp::Solarize(from)) => *from > 255,
            Self::Point(PointOp::Invert) => false,
            Self::Adapt(Adaptive::Contrast(factor)) => *factor == 1.0,
            Self::Adapt(_) => false,
            // One channel is grey already.
            Self::Color(Enhance { factor }) => *factor == 1.0 || c == 1,
            Self::Grayscale => c == 1,
            Self::Hue(hue) => hue.turn == 0 || c == 1,
            // Where every pixel is a border pixel nothing is smoothed.
            Self::Sharpness(Enhance { factor }) => *factor == 1.0 || h < 3 || w < 3,
            Self::Blur(blur) => blur.radius == 0,
            Self::Noise(noise) => (noise.mean, noise.sigma) == (0.0, 0.0),
            Self::Erase(erase) => erase.area.is_empty(),
        }
    }

    /// What an image of this shape lacks for this step, if anything.
    pub(crate) fn misfit(&self, [c, h, w]: [usize; 3]) -> Option<&'static str> {
        let below = |v: i32, size: usize| (v.unsigned_abs() as usize) < size;
        let factor_fits = |factor: f32| factor.is_finite() && factor >= 0.0;
        let grey_or_colour = c == 1 || c == 3;
        let (fits, complaint) = match self {
            Self::Gather(gather) => (gather.fits(h, w), "a movement reads outside the image"),
            Self::Shift(shift) => (
                below(shift.dx, w) && below(shift.dy, h),
                "a shift as large as the image",
            ),
            Self::Warp(warp) => (
                warp.fits(c),
                "an affine map without bounds, or a misfit fill",
            ),
            Self::Resize(Resize { area, .. }) => (
                area.fits(h, w) && !area.is_empty(),
                "a region that is empty or lies outside the image",
            ),
            Self::Point(PointOp::Brightness(factor)) => {
                (factor_fits(*factor), "a factor that is not one")
            }
            Self::Point(_) => (true, ""),
            Self::Adapt(Adaptive::Contrast(factor)) => (
                factor_fits(*factor) && grey_or_colour,
                "a factor that is not one, or channels that are neither 1 nor 3",
            ),
            Self::Adapt(_) => (true, ""),
            Self::Color(Enhance { factor }) => (
                factor_fits(*factor) && c == 3,
                "a factor that is not one, or channels that are not 3",
            ),
            Self::Grayscale | Self::Hue(_) => (c == 3, "colours of an image without 3 channels"),
            Self::Sharpness(Enhance { factor }) => (
                factor_fits(*factor) && h >= 3 && w >= 3,
                "a factor that is not one, or an image below 3×3",
            ),
            Self::Blur(Blur { radius, sigma }) => (
                (*radius as usize) < h.min(w).min(MAX_RADIUS + 1)
                    && sigma.is_finite()
                    && *sigma > 0.0,
                "a filter as large as the image, or a sigma that is not one",
            ),
            Self::Noise(Noise { mean, sigma, .. }) => (
                mean.is_finite() && sigma.is_finite(),
                "a mean or sigma that is not a number",
            ),
            Self::Erase(erase) => (
                erase.area.fits(h, w) && erase.fill.fits(c),
                "an erased box outside the image, or a misfit fill",
            ),
        };
        (!fits).then_some(complaint)
    }
}

/// The largest radius of a [`Blur`].
pub(crate) const MAX_RADIUS: usize = 255;
const _: () = assert!(MAX_RADIUS < MAX_SIDE);
