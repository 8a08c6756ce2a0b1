//! Translations.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::images::MAX_SIDE;
use crate::plan::{Erase, Fill, Gather, ImagePlan, Interpolation, PixelBox, Segment, Warp};
use crate::stream::Stream;

/// With probability `p`, moves the image to the right (to the left for negative amounts) by whole pixels: the amount drawn
/// is truncated, as torchvision does. What comes in from outside is `fill`. Exact.
///
/// The amount is given either in `pixels` or as a `fraction` of the width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslateX {
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<Range>,
    /// Part of the width, in [−1, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Range>,
    /// What stands outside; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

/// With probability `p`, moves the image down (up for negative amounts). As [`TranslateX`], in `pixels` or as a `fraction`
/// of the height.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslateY {
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<Range>,
    /// Part of the height, in [−1, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Range>,
    /// What stands outside; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

macro_rules! translate {
    ($name:ident, $text:literal, $side:literal, |$amount:ident| $shift:expr) => {
        impl $name {
            /// By pixels, black outside, always.
            pub fn pixels(pixels: impl Into<Range>) -> Self {
                Self {
                    pixels: Some(pixels.into()),
                    fraction: None,
                    fill: Fill::default(),
                    p: always(),
                }
            }

            /// By a part of the side, black outside, always.
            pub fn fraction(fraction: impl Into<Range>) -> Self {
                Self {
                    pixels: None,
                    fraction: Some(fraction.into()),
                    fill: Fill::default(),
                    p: always(),
                }
            }
        }

        impl Operation for $name {
            fn check(&self) -> Result<(), AugmentError> {
                error::probability(concat!($text, ".p"), self.p)?;
                let side = MAX_SIDE as f64;
                match (self.pixels, self.fraction) {
                    (Some(pixels), None) => pixels.check(
                        concat!($text, ".pixels"),
                        [-side, side],
                        "between -1048576 and 1048576",
                    ),
                    (None, Some(fraction)) => {
                        fraction.check(concat!($text, ".fraction"), [-1.0, 1.0], "between -1 and 1")
                    }
                    (pixels, _) => Err(AugmentError::OneOf {
                        fields: concat!($text, ".pixels and ", $text, ".fraction"),
                        found: 2 * usize::from(pixels.is_some()),
                    }),
                }
            }

            fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
                let what = concat!("the channels of images that ", $text, " fills with rgb");
                error::fill(what, self.fill, shape)
            }

            fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
                if stream.chance(self.p) {
                    let pixels = match (self.pixels, self.fraction) {
                        (Some(pixels), _) => pixels.draw(stream),
                        (None, Some(fraction)) => {
                            fraction.draw(stream) * plan.shape()[$side] as f64
                        }
                        (None, None) => 0.0,
                    };
                    let $amount = pixels as i32;
                    push($shift, self.fill, plan);
                }
            }
        }
    };
}

translate!(TranslateX, "translate_x", 2, |dx| (dx, 0));
translate!(TranslateY, "translate_y", 1, |dy| (0, dy));

/// Moves the image that `plan` got last to the right and down.
pub(super) fn push((right, down): (i32, i32), fill: Fill, plan: &mut ImagePlan) {
    let [_, h, w] = plan.shape();
    if plan.fuses_affine() {
        plan.push(Segment::Warp(Warp {
            matrix: [1.0, 0.0, -f64::from(right), 0.0, 1.0, -f64::from(down)],
            interpolation: Interpolation::Nearest,
            fill,
        }));
        return;
    }
    let moved = Gather::shifted(-right, -down, h, w);
    plan.push(Segment::Gather(moved));
    if fill == Fill::Level(0) {
        return;
    }
    // What came in: the strips beside the window, then those above and below it.
    let PixelBox { x0, y0, x1, y1 } = moved.window;
    let (h, w) = (h as u32, w as u32);
    for [x0, y0, x1, y1] in [[0, 0, x0, h], [x1, 0, w, h], [0, 0, w, y0], [0, y1, w, h]] {
        let area = PixelBox { x0, y0, x1, y1 }.or_empty();
        plan.push(Segment::Erase(Erase { area, fill }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn exactly_one_amount() {
        assert!(TranslateX::pixels(-10.0..=10.0).check().is_ok());
        assert!(TranslateY::fraction(0.45).check().is_ok());
        assert!(TranslateY::fraction(1.5).check().is_err());
        for (pixels, fraction) in [(None, None), (Some(1.0.into()), Some(0.1.into()))] {
            let op = TranslateX {
                pixels,
                fraction,
                ..TranslateX::pixels(0.0)
            };
            let message = op.check().unwrap_err().to_string();
            assert!(message.contains("exactly one of"), "{message}");
        }
    }

    #[test]
    fn a_fill_paints_what_came_in_and_nothing_else() {
        for (right, down, painted) in [
            (2, 0, 2 * 4),
            (-1, 0, 4),
            (0, 3, 3 * 5),
            (0, -9, 20),
            (9, 0, 20),
        ] {
            let mut plan = ImagePlan::new([1, 4, 5]).unwrap();
            plan.add_image();
            push((right, down), Fill::Level(9), &mut plan);
            let area: usize = plan
                .image(0)
                .iter()
                .filter_map(|segment| match segment {
                    Segment::Erase(erase) => Some(erase.area.area()),
                    _ => None,
                })
                .max()
                .unwrap_or(0);
            assert_eq!(area, painted, "{right} {down}");
            assert!(plan.check().is_ok());
        }
    }
}
