//! Contrast.

use serde::{Deserialize, Serialize};

use super::{FACTORS, Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{Adaptive, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, mean + factor · (level − mean), truncated and clamped, where the mean is that of the grey image,
/// rounded; 0 gives a grey area. Exact.
///
/// Pillow's `ImageEnhance.Contrast`. (torchvision's tensor path does not round the mean.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// In [0, 100]; 1 changes nothing.
    pub factor: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Contrast {
    /// Always.
    pub fn new(factor: impl Into<Range>) -> Self {
        Self {
            factor: factor.into(),
            p: always(),
        }
    }
}

impl Operation for Contrast {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("contrast.p", self.p)?;
        self.factor.check("contrast.factor", FACTORS.0, FACTORS.1)
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::grey_or_colour("contrast", shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            push(self.factor.draw(stream), plan);
        }
    }
}

/// For the image that `plan` got last.
pub(super) fn push(factor: f64, plan: &mut ImagePlan) {
    plan.push(Segment::Adapt(Adaptive::Contrast(factor as f32)));
}
