//! Inversion.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, PointOp, Segment};
use crate::stream::Stream;

/// With probability `p`, 255 − level. Exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invert {
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Default for Invert {
    fn default() -> Self {
        Self { p: always() }
    }
}

impl Operation for Invert {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("invert.p", self.p)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            plan.push(Segment::Point(PointOp::Invert));
        }
    }
}
