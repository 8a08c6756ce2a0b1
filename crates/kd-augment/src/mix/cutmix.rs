//! CutMix.

use serde::{Deserialize, Serialize};

use super::{Pairing, one};
use crate::error::{self, AugmentError};
use crate::plan::PixelBox;
use crate::stream::Stream;

/// With probability `p`, pastes a box of the partner over the same place of the image. The box has the image's aspect and
/// the share 1 − λ of its area, λ ~ Beta(alpha, alpha).
///
/// Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019, Eq. 1
/// and 2. Sides are truncated to whole pixels. The lambda in the plan is the share of pixels that really remain. With
/// the labels left to a teacher this is TLCutMix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutMix {
    /// Both parameters of the Beta distribution, above 0 and at most 10⁶; 1 (uniform) if not given.
    #[serde(default = "one")]
    pub alpha: f64,
    /// The share that is kept, in [0, 1], instead of a draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Who is mixed with whom; a derangement if not given (the authors of CutMix permute).
    #[serde(default = "derangement")]
    pub pairing: Pairing,
    /// Whether the box may lie across the border.
    #[serde(default)]
    pub boxes: MixBox,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "one")]
    pub p: f64,
}

/// Where the box of CutMix may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MixBox {
    /// Its centre is uniform over the pixels, what lies outside is cut off: the paper's choice. It reaches half its side,
    /// rounded down, to both sides of the centre. The share that is pasted is smaller than the one drawn wherever it is
    /// clipped.
    #[default]
    Clip,
    /// Always whole: its place is uniform over all that fit. Boxes drawn with one lambda have one area, which mixing the
    /// same images for several networks needs.
    Inside,
}

fn derangement() -> Pairing {
    Pairing::Derangement
}

impl Default for CutMix {
    fn default() -> Self {
        Self {
            alpha: one(),
            lambda: None,
            pairing: derangement(),
            boxes: MixBox::Clip,
            p: one(),
        }
    }
}

impl CutMix {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        error::probability("cutmix.p", self.p)
    }
}

impl MixBox {
    /// A box of the share 1 − `lambda` of an image; two draws.
    pub(super) fn draw(
        self,
        stream: &mut Stream,
        lambda: f64,
        (height, width): (usize, usize),
    ) -> PixelBox {
        let (box_height, box_width) = sides(lambda, (height, width));
        match self {
            Self::Clip => {
                let centre = (stream.below(width), stream.below(height));
                clipped(lambda, centre, (height, width))
            }
            Self::Inside => {
                let x0 = stream.below(width - box_width + 1);
                let y0 = stream.below(height - box_height + 1);
                PixelBox {
                    x0: x0 as u32,
                    y0: y0 as u32,
                    x1: (x0 + box_width) as u32,
                    y1: (y0 + box_height) as u32,
                }
                .or_empty()
            }
        }
    }
}

/// Height and width of a box of the share 1 − `lambda`.
fn sides(lambda: f64, (height, width): (usize, usize)) -> (usize, usize) {
    let part = (1.0 - lambda).sqrt();
    let side = |length: usize| (length as f64 * part) as usize;
    (side(height), side(width))
}

/// The box around a centre (x, y).
fn clipped(lambda: f64, centre: (usize, usize), size: (usize, usize)) -> PixelBox {
    let (box_height, box_width) = sides(lambda, size);
    PixelBox::around(centre, (box_width / 2, box_height / 2), size)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::DrawKey;
    use crate::stream::Purpose;

    /// Boxes and shares by NumPy, see `tools/augment_golden.py`.
    #[test]
    fn clipped_boxes_are_the_published_ones() {
        #[derive(Deserialize)]
        struct Case {
            size: (usize, usize),
            lambda: f64,
            centre: (usize, usize),
            #[serde(rename = "box")]
            pasted: [u32; 4],
            share: f64,
        }
        #[derive(Deserialize)]
        struct Fixture {
            boxes: Vec<Case>,
        }
        let text = include_str!("../../tests/fixtures/augment.json");
        let cases = serde_json::from_str::<Fixture>(text).unwrap().boxes;
        assert_eq!(cases.len(), 96);
        for case in cases {
            let found = clipped(case.lambda, case.centre, case.size);
            let [x0, y0, x1, y1] = case.pasted;
            assert_eq!(found, PixelBox { x0, y0, x1, y1 }.or_empty());
            let share = 1.0 - found.area() as f64 / (case.size.0 * case.size.1) as f64;
            assert!((share - case.share).abs() < 1e-12);
        }
    }

    #[test]
    fn inside_boxes_of_one_lambda_have_one_area() {
        let mut stream = Stream::new(&DrawKey::new(0), Purpose::Mix, 0);
        for _ in 0..200 {
            let whole = MixBox::Inside.draw(&mut stream, 0.7, (17, 32));
            // 17·sqrt(0.3) = 9.3, 32·sqrt(0.3) = 17.5
            assert_eq!((whole.rows().len(), whole.columns().len()), (9, 17));
            assert!(whole.fits(17, 32));
        }
    }

    #[test]
    fn extremes() {
        let mut stream = Stream::new(&DrawKey::new(0), Purpose::Mix, 0);
        for boxes in [MixBox::Clip, MixBox::Inside] {
            assert_eq!(boxes.draw(&mut stream, 1.0, (8, 8)), PixelBox::EMPTY);
            // A single pixel has no half: the clipping box is empty.
            let single = boxes.draw(&mut stream, 0.0, (1, 1));
            assert_eq!(single.area(), usize::from(boxes == MixBox::Inside));
        }
        assert_eq!(MixBox::Inside.draw(&mut stream, 0.0, (5, 7)).area(), 35);
    }
}
