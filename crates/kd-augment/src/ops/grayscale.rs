//! Greyscale.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, every channel becomes the grey image, (19595·R + 38470·G + 7471·B + 2¹⁵) / 2¹⁶ rounded down. Exact.
/// Images of one channel stay as they are.
///
/// Pillow's `convert("L")`; torchvision's `RandomGrayscale` has p = 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grayscale {
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Default for Grayscale {
    fn default() -> Self {
        Self { p: always() }
    }
}

impl Operation for Grayscale {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("grayscale.p", self.p)
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::grey_or_colour("grayscale", shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            plan.push(Segment::Grayscale);
        }
    }
}
