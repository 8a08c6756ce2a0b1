//! Data augmentation for knowledge distillation: transforms, teacher-labelled mixing and picking.
//!
//! Three steps, kept apart:
//!
//! 1. **Sample.** An [`Augmentation`] draws a plan. Every draw is a function of what it is for, see [`DrawKey`]: not of the
//!    batch size, the order of the data, the number of workers or of threads.
//! 2. **Plan.** A [`Plan`] is plain data: for each image what is done to it, for the batch who is mixed with whom. It
//!    can be logged, compared, stored.
//! 3. **Apply.** Engines compute the same pixels from the same plan: [`cpu`] from u8 images, [`tensor`] on any of Burn's
//!    devices.
//!
//! Operations ([`ImageOp`]) are what the field uses, with [Pillow's] pixels bit for bit and torchvision's parameters: flips, crops,
//! rotations, shears, translations, levels, colours, filters, noise, [`Cutout`]; the policies [`AutoAugment`], [`RandAugment`] and
//! [`TrivialAugmentWide`] as data; the mixes [`Mixup`], [`CutMix`], [`FMix`] and, for several networks, [`CutNMix`]. [`cpu::epoch`]
//! augments a whole set in one call.
//!
//! [Pillow's]: https://python-pillow.github.io
//!
//! Mixing returns what happened and never changes a label: the teacher labels mixed images. [`pick`] chooses from a pool of
//! mixes those on which the teacher is least certain, or the student worst.
//!
//! ```
//! use kd_augment::{Affine, Augmentation, DrawKey, Images, cpu};
//!
//! # fn main() -> Result<(), kd_augment::AugmentError> {
//! // Two grey 4×4 images in memory, numbers 7 and 8 of their data set, the first batch of epoch 3.
//! let pixels: Vec<u8> = (0..32).collect();
//! let images = Images::new(&pixels, [2, 1, 4, 4])?;
//!
//! let augmentation = Augmentation::crop_flip(1).with_mix(kd_augment::CutMix::default());
//! let key = DrawKey::new(42).epoch(3);
//! let plan = augmentation.build()?.sample(&key, &[7, 8], 0, images.image_shape())?;
//!
//! let mut out = vec![0.0; pixels.len()];
//! cpu::apply(&plan, images, &mut out, &Affine::unit())?;
//!
//! let mix = plan.mix.expect("a mix was asked for");
//! assert_eq!(mix.partner, [1, 0]);
//! println!("image 0 keeps {} of its pixels", mix.lambda[0]);
//! # Ok(())
//! # }
//! ```

mod affine;
mod arith;
mod augmentation;
mod augmenter;
pub mod cpu;
mod error;
mod images;
mod key;
mod mix;
mod ops;
pub mod pick;
pub mod plan;
mod preset;
mod stream;
pub mod tensor;

pub use affine::Affine;
pub use augmentation::{Augmentation, ParamSharing};
pub use augmenter::Augmenter;
pub use error::AugmentError;
pub use images::{Images, MAX_SIDE};
pub use key::DrawKey;
pub use mix::{CutMix, CutNMix, FMix, Mix, MixBox, Mixer, Mixup, Pairing};
pub use ops::{
    AutoAugment, AutoAugmentPolicy, AutoContrast, Brightness, Color, ColorJitter, Contrast, Cutout,
    Equalize, GaussianBlur, GaussianNoise, Grayscale, HorizontalFlip, Hue, ImageOp, Invert,
    PadCrop, Padding, Policy, PolicyOp, PolicyStep, Posterize, RandAugment, Range, ResizeCrop,
    Rotate, Sharpness, ShearX, ShearY, Solarize, SpaceEntry, TranslateX, TranslateY,
    TrivialAugmentWide, VerticalFlip,
};
pub use pick::{CutMixPick, PickCriterion, PickSize, Picked, Pool};
pub use plan::{Fill, ImagePlan, Interpolation, MixPlan, PixelBox, Plan};
pub use preset::Preset;
