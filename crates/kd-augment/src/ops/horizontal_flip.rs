//! Horizontal flip.

use serde::{Deserialize, Serialize};

use super::{Operation, half};
use crate::error::{self, AugmentError};
use crate::plan::{Gather, ImagePlan, Segment};
use crate::stream::Stream;

/// With probability `p`, left and right change places: out(x, y) = in(width − 1 − x, y). Exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HorizontalFlip {
    /// Probability, in [0, 1]; 0.5 if not given.
    #[serde(default = "half")]
    pub p: f64,
}

impl Default for HorizontalFlip {
    fn default() -> Self {
        Self { p: half() }
    }
}

impl Operation for HorizontalFlip {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("horizontal_flip.p", self.p)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let [_, h, w] = plan.shape();
            plan.push(Segment::Gather(Gather::mirrored(h, w)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::DrawKey;
    use crate::stream::Purpose;

    #[test]
    fn p_is_a_probability() {
        assert!(HorizontalFlip { p: 1.0 }.check().is_ok());
        assert!(HorizontalFlip { p: -0.1 }.check().is_err());
        assert!(HorizontalFlip { p: f64::NAN }.check().is_err());
    }

    #[test]
    fn certain_and_impossible_flips() {
        let mut plan = ImagePlan::new([1, 2, 3]).unwrap();
        for (p, segments) in [(0.0, 0), (1.0, 1)] {
            plan.add_image();
            HorizontalFlip { p }.draw(
                &mut Stream::new(&DrawKey::new(0), Purpose::ImageOp(0), 0),
                &mut plan,
            );
            assert_eq!(plan.image(plan.len() - 1).len(), segments);
        }
    }
}
