//! Resize-crop: a random region, stretched.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, Interpolation, PixelBox, Resize, Segment};
use crate::stream::Stream;

/// Tries to find a region that fits.
const TRIES: usize = 10;

/// With probability `p`, stretches a random region to the size of the image: its share of the area is uniform in `scale`, the
/// logarithm of its aspect ratio (width over height) in `ratio`.
///
/// torchvision's `RandomResizedCrop`, at the image's own size; after ten regions that do not fit, the largest central one of an
/// allowed ratio. Pixels are exactly Pillow's `resize` of the cropped region (with antialiasing, which matters only where a
/// side is reduced).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeCrop {
    /// Share of the area, in (0, 1]; [0.08, 1] if not given.
    #[serde(default = "scale")]
    pub scale: Range,
    /// Width over height, in [0.01, 100]; [3/4, 4/3] if not given.
    #[serde(default = "ratio")]
    pub ratio: Range,
    /// How levels between pixels are found; bilinear if not given.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

fn scale() -> Range {
    (0.08..=1.0).into()
}

fn ratio() -> Range {
    (3.0 / 4.0..=4.0 / 3.0).into()
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

impl Default for ResizeCrop {
    fn default() -> Self {
        Self {
            scale: scale(),
            ratio: ratio(),
            interpolation: bilinear(),
            p: always(),
        }
    }
}

impl Operation for ResizeCrop {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("resize_crop.p", self.p)?;
        let least = f64::MIN_POSITIVE;
        self.scale
            .check("resize_crop.scale", [least, 1.0], "above 0 and at most 1")?;
        self.ratio
            .check("resize_crop.ratio", [0.01, 100.0], "between 0.01 and 100")
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let [_, h, w] = plan.shape();
            plan.push(Segment::Resize(Resize {
                area: self.region(stream, h, w),
                interpolation: self.interpolation,
            }));
        }
    }
}

impl ResizeCrop {
    fn region(&self, stream: &mut Stream, height: usize, width: usize) -> PixelBox {
        let region = |x0: usize, y0: usize, w: usize, h: usize| PixelBox {
            x0: x0 as u32,
            y0: y0 as u32,
            x1: (x0 + w) as u32,
            y1: (y0 + h) as u32,
        };
        let logarithms = Range::new(self.ratio.low().ln(), self.ratio.high().ln());
        for _ in 0..TRIES {
            let area = self.scale.draw(stream) * (height * width) as f64;
            let ratio = logarithms.draw(stream).exp();
            let side = |length: f64| length.sqrt().round_ties_even() as usize;
            let (w, h) = (side(area * ratio), side(area / ratio));
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let y0 = stream.below(height - h + 1);
                let x0 = stream.below(width - w + 1);
                return region(x0, y0, w, h);
            }
        }
        let whole = width as f64 / height as f64;
        let round = |length: f64| (length.round_ties_even() as usize).max(1);
        let (w, h) = if whole < self.ratio.low() {
            (width, round(width as f64 / self.ratio.low()).min(height))
        } else if whole > self.ratio.high() {
            (round(height as f64 * self.ratio.high()).min(width), height)
        } else {
            (width, height)
        };
        region((width - w) / 2, (height - h) / 2, w, h)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::DrawKey;
    use crate::stream::Purpose;

    #[test]
    fn regions_keep_share_and_ratio() {
        let op = ResizeCrop::default();
        for id in 0..500 {
            let stream = &mut Stream::new(&DrawKey::new(0), Purpose::ImageOp(0), id);
            let area = op.region(stream, 224, 224);
            assert!(area.fits(224, 224));
            let share = area.area() as f64 / (224.0 * 224.0);
            let ratio = area.columns().len() as f64 / area.rows().len() as f64;
            assert!((0.07..=1.0).contains(&share), "{share}");
            assert!((0.73..=1.37).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn odd_images_have_a_region_too() {
        let op = ResizeCrop {
            scale: 1.0.into(),
            ..ResizeCrop::default()
        };
        for (h, w) in [(1, 1), (1, 9), (64, 1), (2, 3)] {
            let stream = &mut Stream::new(&DrawKey::new(0), Purpose::ImageOp(0), 0);
            let area = op.region(stream, h, w);
            assert!(area.fits(h, w) && !area.is_empty(), "{area:?}");
        }
    }

    #[test]
    fn shares_are_above_zero() {
        let with = |scale: Range| ResizeCrop {
            scale,
            ..ResizeCrop::default()
        };
        assert!(with((0.0..=1.0).into()).check().is_err());
        assert!(with((0.5..=1.1).into()).check().is_err());
        assert!(with((0.9..=0.5).into()).check().is_err());
    }
}
