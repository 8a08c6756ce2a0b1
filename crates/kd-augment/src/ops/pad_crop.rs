//! Pad-and-crop: small random shifts.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::images::MAX_SIDE;
use crate::plan::{Border, Gather, ImagePlan, Segment, Shift};
use crate::stream::Stream;

/// With probability `p`, pads every side by `pad` pixels and crops an image of the old size at an offset drawn uniformly
/// from `0..=2·pad`, in x and in y: all 2·pad + 1 offsets, the last included. Exact.
///
/// The standard augmentation of CIFAR (pad 4), from Lee et al., "Deeply-Supervised Nets", AISTATS 2015, and He et al.,
/// "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadCrop {
    /// Pixels added on each side, at most [`MAX_SIDE`]; 4 at 32×32. With 0 nothing changes; with more than the image's
    /// own size it may leave the picture altogether.
    pub pad: usize,
    /// What is added.
    #[serde(default)]
    pub padding: Padding,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

/// What stands beyond the border of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Padding {
    /// Black: u8 level 0, before any normalisation.
    #[default]
    Zero,
    /// The image mirrored at its outermost pixels, which are not repeated. Needs a pad below both sides.
    Reflect,
    /// The outermost pixels repeated.
    Replicate,
}

impl PadCrop {
    /// Pads with zeros by `pad`, always.
    pub fn new(pad: usize) -> Self {
        Self {
            pad,
            padding: Padding::Zero,
            p: always(),
        }
    }

    /// With another padding.
    #[must_use]
    pub fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }
}

impl Operation for PadCrop {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("pad_crop.p", self.p)?;
        error::count("pad_crop.pad", self.pad, 0, MAX_SIDE, "at most 1048576")
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        let [_, h, w] = shape;
        let reflects = self.padding == Padding::Reflect;
        let need = "with sides above its pad where it reflects";
        error::needs(!reflects || self.pad < h.min(w), "pad_crop", need, shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let [_, h, w] = plan.shape();
            let mut shift = || stream.below(2 * self.pad + 1) as i32 - self.pad as i32;
            let (dx, dy) = (shift(), shift());
            let border = match self.padding {
                Padding::Zero => {
                    return plan.push(Segment::Gather(Gather::shifted(dx, dy, h, w)));
                }
                Padding::Reflect => Border::Reflect,
                Padding::Replicate => Border::Replicate,
            };
            // A row or column beyond the image is the outermost one, however far.
            let within = |shift: i32, size: usize| shift.clamp(1 - size as i32, size as i32 - 1);
            let (dx, dy) = (within(dx, w), within(dy, h));
            plan.push(Segment::Shift(Shift { dx, dy, border }));
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
    fn absurd_pads_are_refused() {
        assert!(PadCrop::new(0).check().is_ok());
        let message = PadCrop::new(usize::MAX).check().unwrap_err().to_string();
        assert!(
            message.starts_with("pad_crop.pad is 18446744073709552000"),
            "{message}"
        );
        assert!(
            PadCrop {
                p: 2.0,
                ..PadCrop::new(4)
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn the_largest_pad_draws_a_valid_plan() {
        let mut plan = ImagePlan::new([1, 2, 3]).unwrap();
        for id in 0..100 {
            plan.add_image();
            let stream = &mut Stream::new(&DrawKey::new(0), Purpose::ImageOp(0), id);
            PadCrop::new(MAX_SIDE).draw(stream, &mut plan);
        }
        assert!(plan.check().is_ok());
    }
}
