//! Colour.

use serde::{Deserialize, Serialize};

use super::{FACTORS, Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{Enhance, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, grey + factor · (level − grey), truncated and clamped; 0 gives the grey image. Exact. Images of one
/// channel stay as they are.
///
/// Pillow's `ImageEnhance.Color`, where the grey level is (19595·R + 38470·G + 7471·B + 2¹⁵) / 2¹⁶ rounded down. (torchvision's
/// tensor path weighs 0.2989, 0.587, 0.114 and truncates.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Color {
    /// In [0, 100]; 1 changes nothing.
    pub factor: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Color {
    /// Always.
    pub fn new(factor: impl Into<Range>) -> Self {
        Self {
            factor: factor.into(),
            p: always(),
        }
    }
}

impl Operation for Color {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("color.p", self.p)?;
        self.factor.check("color.factor", FACTORS.0, FACTORS.1)
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::grey_or_colour("color", shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            push(self.factor.draw(stream), plan);
        }
    }
}

/// For the image that `plan` got last.
pub(super) fn push(factor: f64, plan: &mut ImagePlan) {
    let factor = factor as f32;
    plan.push(Segment::Color(Enhance { factor }));
}
