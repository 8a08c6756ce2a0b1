//! Sharpness.

use serde::{Deserialize, Serialize};

use super::{FACTORS, Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{Enhance, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, smooth + factor · (level − smooth), truncated and clamped; below 1 blurs, above 1 sharpens. Exact. The
/// smooth image weighs a pixel 5 and its eight neighbours 1; border pixels stay as they are.
///
/// Pillow's `ImageEnhance.Sharpness`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpness {
    /// In [0, 100]; 1 changes nothing.
    pub factor: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Sharpness {
    /// Always.
    pub fn new(factor: impl Into<Range>) -> Self {
        Self {
            factor: factor.into(),
            p: always(),
        }
    }
}

impl Operation for Sharpness {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("sharpness.p", self.p)?;
        self.factor.check("sharpness.factor", FACTORS.0, FACTORS.1)
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
    plan.push(Segment::Sharpness(Enhance { factor }));
}
