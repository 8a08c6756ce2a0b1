//! Cutout.

use serde::{Deserialize, Serialize};

use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::images::MAX_SIDE;
use crate::plan::{Erase, Fill, ImagePlan, PixelBox, Segment};
use crate::stream::Stream;

/// Largest number of holes.
const MAX_HOLES: usize = 4096;

/// With probability `p`, paints over `holes` squares of side `length`, whose centres are drawn uniformly from the pixels
/// of the image and which are clipped at its border. Exact.
///
/// DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552. A square
/// reaches length/2 pixels (rounded down) to both sides of its centre as in the authors' code, so that an odd length
/// gives the square of the even length below it.
///
/// `fill` is a level of the u8 image, before normalisation: black if not given. The authors paint after normalisation,
/// where 0 is the mean colour of the data set; for that, give the mean as the fill (CIFAR-10: `[125, 123, 114]`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutout {
    /// Number of squares, at least 1; 1 if not given. Das et al., "An Empirical Analysis of the Impact of Data Augmentation on
    /// Knowledge Distillation", 2020, cut 16.
    #[serde(default = "one")]
    pub holes: usize,
    /// Side of a square, in pixels, at least 1: 16 for CIFAR-10 and Tiny ImageNet, 8 for CIFAR-100, 56 at 224 pixels.
    pub length: usize,
    /// What is painted.
    #[serde(default)]
    pub fill: Fill,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

fn one() -> usize {
    1
}

impl Cutout {
    /// One black square of side `length`, always.
    pub fn new(length: usize) -> Self {
        Self {
            holes: one(),
            length,
            fill: Fill::default(),
            p: always(),
        }
    }

    /// Sixteen black squares of side `length`, always.
    pub fn sixteen_holes(length: usize) -> Self {
        Self {
            holes: 16,
            ..Self::new(length)
        }
    }
}

impl Operation for Cutout {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("cutout.p", self.p)?;
        error::count(
            "cutout.holes",
            self.holes,
            1,
            MAX_HOLES,
            "between 1 and 4096",
        )?;
        error::count(
            "cutout.length",
            self.length,
            1,
            MAX_SIDE,
            "between 1 and 1048576",
        )
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        error::fill(
            "the channels of images that cutout fills with rgb",
            self.fill,
            shape,
        )
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let [_, h, w] = plan.shape();
            let half = self.length / 2;
            for _ in 0..self.holes {
                let (x, y) = (stream.below(w), stream.below(h));
                let area = PixelBox::around((x, y), (half, half), (h, w));
                plan.push(Segment::Erase(Erase {
                    area,
                    fill: self.fill,
                }));
            }
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
    fn impossible_holes_are_refused() {
        assert!(Cutout::new(16).check().is_ok());
        assert!(Cutout::new(0).check().is_err());
        assert!(
            Cutout {
                holes: 0,
                ..Cutout::new(16)
            }
            .check()
            .is_err()
        );
        assert!(
            Cutout {
                p: 1.1,
                ..Cutout::new(16)
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn every_hole_is_a_clipped_square() {
        let mut plan = ImagePlan::new([3, 32, 32]).unwrap();
        plan.add_image();
        let op = Cutout {
            holes: 200,
            ..Cutout::new(8)
        };
        op.draw(
            &mut Stream::new(&DrawKey::new(0), Purpose::ImageOp(0), 0),
            &mut plan,
        );
        assert_eq!(plan.image(0).len(), 200);
        let mut whole = 0;
        for segment in plan.image(0) {
            let Segment::Erase(Erase { area, .. }) = segment else {
                panic!("{segment:?}")
            };
            assert!((16..=64).contains(&area.area()), "{area:?}");
            whole += usize::from(area.area() == 64);
        }
        // A centre is 4 pixels from every border with probability (25/32)² = 0.61.
        assert!((90..155).contains(&whole), "{whole}");
    }
}
