//! Vertical flip.

use serde::{Deserialize, Serialize};

use super::{Operation, half};
use crate::error::{self, AugmentError};
use crate::plan::{Gather, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, top and bottom change places: out(x, y) = in(x, height − 1 − y). Exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerticalFlip {
    /// Probability, in [0, 1]; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
}

impl Default for VerticalFlip {
    fn default() -> Self {
        Self { p: half() }
    }
}

impl Operation for VerticalFlip {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("vertical_flip.p", self.p)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let [_, h, w] = plan.shape();
            plan.push(Segment::Gather(Gather::upside_down(h, w)));
        }
    }
}
