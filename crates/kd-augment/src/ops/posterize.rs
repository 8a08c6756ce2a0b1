//! Posterisation.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, PointOp, Segment};
use crate::stream::Stream;

/// With probability `p`, keeps the highest `bits` bits of every level. Exact.
///
/// Pillow's `ImageOps.posterize`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterize {
    /// Bits that stay, 0 (black) to 8 (nothing changes).
    pub bits: u8,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Posterize {
    /// Always.
    pub fn new(bits: u8) -> Self {
        Self { bits, p: always() }
    }
}

impl Operation for Posterize {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("posterize.p", self.p)?;
        error::count("posterize.bits", self.bits.into(), 0, 8, "between 0 and 8")
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            push(self.bits, plan);
        }
    }
}

/// For the image that `plan` got last.
pub(super) fn push(bits: u8, plan: &mut ImagePlan) {
    plan.push(Segment::Point(PointOp::Posterize(bits)));
}
