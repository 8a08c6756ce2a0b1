//! Autocontrast.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{Adaptive, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, stretches each channel linearly so that its darkest level becomes 0 and its brightest 255. Exact. A
/// channel of one level stays as it is.
///
/// Pillow's `ImageOps.autocontrast` without a cutoff. (torchvision's tensor path divides in f32, which differs by a level here
/// and there.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoContrast {
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Default for AutoContrast {
    fn default() -> Self {
        Self { p: always() }
    }
}

impl Operation for AutoContrast {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("auto_contrast.p", self.p)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            plan.push(Segment::Adapt(Adaptive::AutoContrast));
        }
    }
}
