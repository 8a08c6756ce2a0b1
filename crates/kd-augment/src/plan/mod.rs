//! What will be done, as plain data: drawn once, applied by any engine, written to a log, read back.

mod boxes;
mod fill;
mod gather;
mod images;
mod mix;
mod segment;

use serde::{Deserialize, Serialize};

pub use boxes::PixelBox;
pub use fill::Fill;
pub use gather::Gather;
pub use images::ImagePlan;
pub use mix::{Blend, Masks, MixPlan};
pub(crate) use segment::MAX_RADIUS;
pub use segment::{
    Adaptive, Blur, Border, Enhance, Erase, Hue, Interpolation, Noise, PointOp, Resize, Segment,
    Shift, Warp,
};

use crate::error::AugmentError;

/// Everything that happens to one batch: first each image by itself, then the mix.
///
/// A plan holds no randomness and no pixels. Every engine computes the same images from it, within the tolerance that the
/// engine states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What happens to each image by itself.
    pub images: ImagePlan,
    /// Who is mixed with whom, last and in float.
    #[serde(default)]
    pub mix: Option<MixPlan>,
}

impl Default for Plan {
    /// A plan for no image, to be drawn into by [`Augmenter::sample_into`](crate::Augmenter::sample_into).
    fn default() -> Self {
        Self {
            images: ImagePlan::empty(),
            mix: None,
        }
    }
}

impl Plan {
    /// Checks that the plan can be applied to a batch of `shape` = `[n, channels, height, width]`. The engines do this
    /// themselves; a plan that was drawn for this shape always passes.
    ///
    /// # Errors
    /// Another shape than the plan's, or contents that cannot be applied.
    pub fn check(&self, shape: [usize; 4]) -> Result<(), AugmentError> {
        let [n, c, h, w] = self.images.batch_shape();
        if shape != [n, c, h, w] {
            return Err(AugmentError::Shape {
                what: "the batch",
                expected: vec![n, c, h, w],
                found: shape.to_vec(),
            });
        }
        self.images.check()?;
        match &self.mix {
            Some(mix) => mix.check([n, h, w]),
            None => Ok(()),
        }
    }
}
