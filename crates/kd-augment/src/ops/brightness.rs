//! Brightness.

use serde::{Deserialize, Serialize};

use super::{FACTORS, Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, PointOp, Segment};
use crate::stream::Stream;

/// With probability `p`, level · factor, truncated and clamped; 0 gives black. Exact.
///
/// Pillow's `ImageEnhance.Brightness`, which torchvision's two paths agree with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brightness {
    /// In [0, 100]; 1 changes nothing.
    pub factor: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Brightness {
    /// Always.
    pub fn new(factor: impl Into<Range>) -> Self {
        Self {
            factor: factor.into(),
            p: always(),
        }
    }
}

impl Operation for Brightness {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("brightness.p", self.p)?;
        self.factor.check("brightness.factor", FACTORS.0, FACTORS.1)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            push(self.factor.draw(stream), plan);
        }
    }
}

/// For the image that `plan` got last.
pub(super) fn push(factor: f64, plan: &mut ImagePlan) {
    plan.push(Segment::Point(PointOp::Brightness(factor as f32)));
}
