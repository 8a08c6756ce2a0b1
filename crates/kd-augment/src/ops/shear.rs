//! Shears.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{Fill, ImagePlan, Interpolation, Segment, Warp};
use crate::stream::Stream;

/// Slopes that a shear may have.
const SLOPES: ([f64; 2], &str) = ([-100.0, 100.0], "between -100 and 100");

/// With probability `p`, out(x, y) = in(x + slope · y, y): rows slide against each other, the top one stays. What comes in
/// from outside is `fill`.
///
/// As torchvision v2 applies it for AutoAugment; nearest neighbours are exactly Pillow's, bilinear levels are within 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShearX {
    /// Columns a row: the tangent of the angle, in [−100, 100].
    pub slope: Range,
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

/// With probability `p`, out(x, y) = in(x, y + slope · x): columns slide against each other, the left one stays. As
/// [`ShearX`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShearY {
    /// Rows a column: the tangent of the angle, in [−100, 100].
    pub slope: Range,
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

macro_rules! shear {
    ($name:ident, $text:literal, $push:ident) => {
        impl $name {
            /// Nearest neighbours, black outside, always.
            pub fn new(slope: impl Into<Range>) -> Self {
                Self {
                    slope: slope.into(),
                    interpolation: Interpolation::default(),
                    fill: Fill::default(),
                    p: always(),
                }
            }
        }

        impl Operation for $name {
            fn check(&self) -> Result<(), AugmentError> {
                error::probability(concat!($text, ".p"), self.p)?;
                self.slope
                    .check(concat!($text, ".slope"), SLOPES.0, SLOPES.1)
            }

            fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
                let what = concat!("the channels of images that ", $text, " fills with rgb");
                error::fill(what, self.fill, shape)
            }

            fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
                if stream.chance(self.p) {
                    let slope = self.slope.draw(stream);
                    $push(slope, self.interpolation, self.fill, plan);
                }
            }
        }
    };
}

shear!(ShearX, "shear_x", push_x);
shear!(ShearY, "shear_y", push_y);

/// The slope after torchvision's way through degrees: the last bit decides some ties.
fn through_degrees(slope: f64) -> f64 {
    slope.atan().to_degrees().to_radians()
}

/// Shears the image that `plan` got last along x.
pub(super) fn push_x(slope: f64, interpolation: Interpolation, fill: Fill, plan: &mut ImagePlan) {
    let angle = through_degrees(slope);
    plan.push(Segment::Warp(Warp {
        matrix: [1.0, angle.tan(), 0.0, 0.0, 1.0, 0.0],
        interpolation,
        fill,
    }));
}

/// Shears the image that `plan` got last along y.
pub(super) fn push_y(slope: f64, interpolation: Interpolation, fill: Fill, plan: &mut ImagePlan) {
    let angle = through_degrees(slope);
    plan.push(Segment::Warp(Warp {
        matrix: [1.0, 0.0, 0.0, angle.sin() / angle.cos(), 1.0, 0.0],
        interpolation,
        fill,
    }));
}
