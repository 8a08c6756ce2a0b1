//! Hue.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{self, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, turns the hue by `shift` of a full turn: −0.5 and 0.5 both give the complementary colour. Images of
/// one channel stay as they are.
///
/// As torchvision's `adjust_hue` on Pillow images, exactly: hue, saturation and value are u8, the turn is truncated to 255ths
/// and wraps at 256. (A turn of 0 changes nothing here; there it still rounds through u8.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hue {
    /// Part of a turn, in [−0.5, 0.5].
    pub shift: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

impl Hue {
    /// Always.
    pub fn new(shift: impl Into<Range>) -> Self {
        Self {
            shift: shift.into(),
            p: always(),
        }
    }
}

impl Operation for Hue {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("hue.p", self.p)?;
        self.shift
            .check("hue.shift", [-0.5, 0.5], "between -0.5 and 0.5")
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::grey_or_colour("hue", shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            push(self.shift.draw(stream), plan);
        }
    }
}

/// For the image that `plan` got last.
pub(super) fn push(shift: f64, plan: &mut ImagePlan) {
    let turn = (shift * 255.0) as i32 as u8;
    plan.push(Segment::Hue(plan::Hue { turn }));
}
