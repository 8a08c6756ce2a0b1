//! Operations on one image at a time, one file each.

mod cutout;
mod horizontal_flip;
mod pad_crop;

use serde::{Deserialize, Serialize};

pub use cutout::Cutout;
pub use horizontal_flip::HorizontalFlip;
pub use pad_crop::{PadCrop, Padding};

use crate::error::AugmentError;
use crate::plan::ImagePlan;
use crate::stream::Stream;

/// An operation on one image, as a recipe names it: a table with the key `op`.
///
/// ```
/// # use kd_augment::ImageOp;
/// let flip: ImageOp = serde_json::from_str(r#"{ "op": "horizontal_flip", "p": 0.5 }"#).unwrap();
/// # assert_eq!(flip, kd_augment::HorizontalFlip::default().into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageOp {
    /// Left and right change places.
    HorizontalFlip(HorizontalFlip),
    /// Pads and crops back at a random offset.
    PadCrop(PadCrop),
    /// Paints over random squares.
    Cutout(Cutout),
}

impl ImageOp {
    /// Checks the configuration.
    pub(crate) fn check(&self) -> Result<(), AugmentError> {
        match self {
            Self::HorizontalFlip(op) => op.check(),
            Self::PadCrop(op) => op.check(),
            Self::Cutout(op) => op.check(),
        }
    }

    /// Checks that images of `shape` = `[channels, height, width]` can be treated.
    pub(crate) fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        match self {
            Self::Cutout(op) if !op.fill.fits(shape[0]) => Err(AugmentError::Length {
                what: "the channels of images that cutout fills with rgb",
                expected: 3,
                found: shape[0],
            }),
            _ => Ok(()),
        }
    }

    /// Draws the parameters for the image that `plan` got last and appends what is to be done.
    pub(crate) fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        match self {
            Self::HorizontalFlip(op) => op.draw(stream, plan),
            Self::PadCrop(op) => op.draw(stream, plan),
            Self::Cutout(op) => op.draw(stream, plan),
        }
    }
}

impl From<HorizontalFlip> for ImageOp {
    fn from(op: HorizontalFlip) -> Self {
        Self::HorizontalFlip(op)
    }
}

impl From<PadCrop> for ImageOp {
    fn from(op: PadCrop) -> Self {
        Self::PadCrop(op)
    }
}

impl From<Cutout> for ImageOp {
    fn from(op: Cutout) -> Self {
        Self::Cutout(op)
    }
}

/// `p` of an operation that is always applied unless the recipe says otherwise.
fn always() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::Fill;

    #[test]
    fn unknown_names_and_keys_are_refused() {
        let read = serde_json::from_str::<ImageOp>;
        assert_eq!(
            read(r#"{"op":"cutout","length":8}"#).unwrap(),
            Cutout::new(8).into()
        );
        assert!(read(r#"{"op":"rotate_by_magic"}"#).is_err());
        assert!(read(r#"{"op":"cutout","lenght":8}"#).is_err());
        assert!(read(r#"{"op":"horizontal_flip","p":0.5,"q":1}"#).is_err());
    }

    #[test]
    fn a_coloured_fill_needs_three_channels() {
        let op = ImageOp::from(Cutout {
            fill: Fill::Rgb([1, 2, 3]),
            ..Cutout::new(8)
        });
        assert!(op.check_shape([3, 8, 8]).is_ok());
        assert!(op.check_shape([1, 8, 8]).is_err());
    }
}
