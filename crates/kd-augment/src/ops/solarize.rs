//! Solarisation.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, PointOp, Segment};
use crate::stream::Stream;

/// With probability `p`, inverts the levels that are not below `threshold`. Exact.
///
/// Pillow's `ImageOps.solarize`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solarize {
    /// In levels: 0 inverts all, 256 none.
    pub threshold: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Solarize {
    /// Always.
    pub fn new(threshold: impl Into<Range>) -> Self {
        Self {
            threshold: threshold.into(),
            p: always(),
        }
    }
}

impl Operation for Solarize {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("solarize.p", self.p)?;
        self.threshold
            .check("solarize.threshold", [0.0, 256.0], "between 0 and 256")
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            push(self.threshold.draw(stream), plan);
        }
    }
}

/// For the image that `plan` got last.
pub(super) fn push(threshold: f64, plan: &mut ImagePlan) {
    plan.push(Segment::Point(PointOp::Solarize(threshold.ceil() as u16)));
}
