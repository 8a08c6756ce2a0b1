//! Histogram equalisation.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{Adaptive, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, maps the levels of each channel so that they are about equally frequent. Exact.
///
/// Pillow's `ImageOps.equalize`, which torchvision's two paths agree with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equalize {
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Default for Equalize {
    fn default() -> Self {
        Self { p: always() }
    }
}

impl Operation for Equalize {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("equalize.p", self.p)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            plan.push(Segment::Adapt(Adaptive::Equalize));
        }
    }
}
