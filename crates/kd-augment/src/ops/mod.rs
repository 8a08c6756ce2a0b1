//! Operations on one image at a time, one file each.

mod auto_augment;
mod auto_contrast;
mod brightness;
mod color;
mod color_jitter;
mod contrast;
mod cutout;
mod equalize;
mod gaussian_blur;
mod gaussian_noise;
mod grayscale;
mod horizontal_flip;
mod hue;
mod invert;
mod pad_crop;
mod policy;
mod posterize;
mod rand_augment;
mod range;
mod resize_crop;
mod rotate;
mod sharpness;
mod shear;
mod solarize;
mod translate;
mod trivial_augment;
mod vertical_flip;

use serde::{Deserialize, Serialize};

pub use auto_augment::{AutoAugment, AutoAugmentPolicy, Policy, PolicyStep};
pub use auto_contrast::AutoContrast;
pub use brightness::Brightness;
pub use color::Color;
pub use color_jitter::ColorJitter;
pub use contrast::Contrast;
pub use cutout::Cutout;
pub use equalize::Equalize;
pub use gaussian_blur::GaussianBlur;
pub use gaussian_noise::GaussianNoise;
pub use grayscale::Grayscale;
pub use horizontal_flip::HorizontalFlip;
pub use hue::Hue;
pub use invert::Invert;
pub use pad_crop::{PadCrop, Padding};
pub use policy::{PolicyOp, SpaceEntry};
pub use posterize::Posterize;
pub use rand_augment::RandAugment;
pub use range::Range;
pub use resize_crop::ResizeCrop;
pub use rotate::Rotate;
pub use sharpness::Sharpness;
pub use shear::{ShearX, ShearY};
pub use solarize::Solarize;
pub use translate::{TranslateX, TranslateY};
pub use trivial_augment::TrivialAugmentWide;
pub use vertical_flip::VerticalFlip;

use crate::error::AugmentError;
use crate::plan::ImagePlan;
use crate::stream::Stream;

/// What every operation can do.
trait Operation {
    /// Checks the configuration.
    fn check(&self) -> Result<(), AugmentError>;

    /// Checks that images of `shape` = `[channels, height, width]` can be treated.
    fn check_shape(&self, _shape: [usize; 3]) -> Result<(), AugmentError> {
        Ok(())
    }

    /// Draws the parameters for the image that `plan` got last and appends what is to be done.
    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan);
}

/// The enum of all operations; a variant is named as its type.
macro_rules! image_ops {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// An operation on one image, as a recipe names it: a table with the key `op`.
        ///
        /// ```
        /// # use kd_augment::ImageOp;
        /// let flip: ImageOp = serde_json::from_str(r#"{ "op": "horizontal_flip", "p": 0.5 }"#).unwrap();
        /// # assert_eq!(flip, kd_augment::HorizontalFlip::default().into());
        /// ```
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "op", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ImageOp {
            $($(#[$doc])* $name($name),)+
        }

        $(impl From<$name> for ImageOp {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        })+

        impl ImageOp {
            fn operation(&self) -> &dyn Operation {
                match self {
                    $(Self::$name(op) => op,)+
                }
            }
        }
    };
}

image_ops! {
    /// Left and right change places.
    HorizontalFlip,
    /// Top and bottom change places.
    VerticalFlip,
    /// Pads and crops back at a random offset.
    PadCrop,
    /// Stretches a random region to the size of the image.
    ResizeCrop,
    /// Turns about the centre.
    Rotate,
    /// Rows slide against each other.
    ShearX,
    /// Columns slide against each other.
    ShearY,
    /// Moves to the right or left.
    TranslateX,
    /// Moves down or up.
    TranslateY,
    /// Multiplies every level.
    Brightness,
    /// Blends with the grey image: saturation.
    Color,
    /// Blends with the mean grey.
    Contrast,
    /// Blends with the smoothed image.
    Sharpness,
    /// Keeps the highest bits.
    Posterize,
    /// Inverts bright levels.
    Solarize,
    /// Stretches each channel to the whole range.
    AutoContrast,
    /// Makes levels equally frequent.
    Equalize,
    /// Inverts every level.
    Invert,
    /// Turns the hue.
    Hue,
    /// Brightness, contrast, saturation and hue, in random order.
    ColorJitter,
    /// Takes the colour away.
    Grayscale,
    /// Adds normal noise.
    GaussianNoise,
    /// Filters with a Gaussian.
    GaussianBlur,
    /// Paints over random squares.
    Cutout,
    /// One of the sub-policies of a learnt table.
    AutoAugment,
    /// N random operations of magnitude M.
    RandAugment,
    /// One random operation of random magnitude.
    TrivialAugmentWide,
}

impl ImageOp {
    /// Checks the configuration.
    pub(crate) fn check(&self) -> Result<(), AugmentError> {
        self.operation().check()
    }

    /// Checks that images of `shape` = `[channels, height, width]` can be treated.
    pub(crate) fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        self.operation().check_shape(shape)
    }

    /// Draws the parameters for the image that `plan` got last and appends what is to be done.
    pub(crate) fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        self.operation().draw(stream, plan);
    }
}

/// The factors that an enhancement may have.
const FACTORS: ([f64; 2], &str) = ([0.0, 100.0], "between 0 and 100");

/// `p` of an operation that is always applied unless the recipe says otherwise.
fn always() -> f64 {
    1.0
}

/// `p` of a flip if the recipe does not say otherwise.
fn half() -> f64 {
    0.5
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
        for text in [
            r#"{"op":"rotate_by_magic"}"#,
            r#"{"op":"cutout","lenght":8}"#,
            r#"{"op":"horizontal_flip","p":0.5,"q":1}"#,
            r#"{"op":"rotate"}"#,
            r#"{"op":"rotate","degrees":"many"}"#,
            r#"{"op":"translate_x","pixels":1,"percent":2}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
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

    #[test]
    fn every_probability_is_checked() {
        for op in [
            r#""horizontal_flip""#,
            r#""vertical_flip""#,
            r#""pad_crop","pad":4"#,
            r#""resize_crop""#,
            r#""rotate","degrees":1"#,
            r#""shear_x","slope":1"#,
            r#""shear_y","slope":1"#,
            r#""translate_x","pixels":1"#,
            r#""translate_y","fraction":1"#,
            r#""brightness","factor":1"#,
            r#""color","factor":1"#,
            r#""contrast","factor":1"#,
            r#""sharpness","factor":1"#,
            r#""posterize","bits":1"#,
            r#""solarize","threshold":1"#,
            r#""auto_contrast""#,
            r#""equalize""#,
            r#""invert""#,
            r#""hue","shift":0.1"#,
            r#""color_jitter""#,
            r#""grayscale""#,
            r#""gaussian_noise""#,
            r#""gaussian_blur","kernel":3"#,
            r#""cutout","length":1"#,
        ] {
            for (p, valid) in [(0.0, true), (1.0, true), (1.01, false), (-0.1, false)] {
                let text = format!(r#"{{"op":{op},"p":{p}}}"#);
                let read: ImageOp = serde_json::from_str(&text).unwrap();
                assert_eq!(read.check().is_ok(), valid, "{text}");
                let again: ImageOp =
                    serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
                assert_eq!(read, again);
            }
        }
    }
}
