//! Rotation.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{Fill, ImagePlan, Interpolation, Segment, Warp};
use crate::stream::Stream;

/// With probability `p`, turns the image about its centre, counter-clockwise for positive degrees. The image keeps its size;
/// what comes in from outside is `fill`.
///
/// Nearest neighbours are exactly Pillow's `Image.rotate`; bilinear levels are within 1. (torchvision's tensor path samples
/// on a grid in f32 and differs at some edges.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Degrees, in [−360, 360].
    pub degrees: Range,
    /// How levels between pixels are found; the nearest if not given.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What stands outside; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Rotate {
    /// Nearest neighbours, black outside, always.
    pub fn new(degrees: impl Into<Range>) -> Self {
        Self {
            degrees: degrees.into(),
            interpolation: Interpolation::default(),
            fill: Fill::default(),
            p: always(),
        }
    }
}

impl Operation for Rotate {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("rotate.p", self.p)?;
        self.degrees
            .check("rotate.degrees", [-360.0, 360.0], "between -360 and 360")
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::fill(
            "the channels of images that rotate fills with rgb",
            self.fill,
            shape,
        )
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let degrees = self.degrees.draw(stream);
            push(degrees, self.interpolation, self.fill, plan);
        }
    }
}

/// Turns the image that `plan` got last.
pub(super) fn push(degrees: f64, interpolation: Interpolation, fill: Fill, plan: &mut ImagePlan) {
    let [_, h, w] = plan.shape();
    plan.push(Segment::Warp(Warp {
        matrix: matrix(degrees, h, w),
        interpolation,
        fill,
    }));
}

/// From the turned image to the image, about the centre.
fn matrix(degrees: f64, height: usize, width: usize) -> [f64; 6] {
    // Sine and cosine to 15 decimals, as Pillow has them: a quarter turn is one exactly.
    let round = |v: f64| (v * 1e15).round() / 1e15;
    let angle = -degrees.rem_euclid(360.0).to_radians();
    let (sine, cosine) = (round(angle.sin()), round(angle.cos()));
    let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
    [
        cosine,
        sine,
        cosine * -x + sine * -y + x,
        -sine,
        cosine,
        -sine * -x + cosine * -y + y,
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quarter_turns_are_whole_numbers() {
        assert_eq!(matrix(0.0, 4, 6), Warp::IDENTITY);
        assert_eq!(matrix(360.0, 4, 6), Warp::IDENTITY);
        assert_eq!(matrix(180.0, 4, 6), [-1.0, 0.0, 6.0, 0.0, -1.0, 4.0]);
        // The top right corner goes to the top left.
        assert_eq!(matrix(90.0, 4, 4), [0.0, -1.0, 4.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn degrees_are_bounded() {
        assert!(Rotate::new(-360.0..=360.0).check().is_ok());
        assert!(Rotate::new(361.0).check().is_err());
        assert!(Rotate::new(f64::NAN).check().is_err());
        let coloured = Rotate {
            fill: Fill::Rgb([1, 2, 3]),
            ..Rotate::new(1.0)
        };
        assert!(coloured.check_shape([1, 4, 4]).is_err());
    }
}
