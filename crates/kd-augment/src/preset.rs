//! Schemes by name, with the parameters of the experiments on each data set.

use serde::{Deserialize, Serialize};

use crate::augmentation::Augmentation;
use crate::error::AugmentError;
use crate::mix::FMix;
use crate::ops::{AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide};

/// The data that the parameters of a named scheme are for.
///
/// | | pad of the crop | side of cutout's square | AutoAugment |
/// |---|---|---|---|
/// | CIFAR-10 | 4 | 16 | CIFAR-10 |
/// | CIFAR-100 | 4 | 8 | CIFAR-10 |
/// | Tiny ImageNet (64 px) | 8 | 16 | ImageNet |
/// | ImageNet (224 px) | 28 | 56 | ImageNet |
///
/// From the reference implementation of *What Makes a "Good" Data Augmentation in Knowledge Distillation*, Wang et al., 2022, and,
/// for cutout on CIFAR-10, its authors'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// 32×32, few classes.
    #[default]
    Cifar10,
    /// 32×32, a hundred classes.
    Cifar100,
    /// 64×64.
    TinyImagenet,
    /// 224×224.
    Imagenet,
}

impl Preset {
    /// The one for images of this side, in pixels, of so many classes: by the side that is nearest in ratio, and at 32 by fewer than
    /// 100 classes.
    pub fn of(side: usize, classes: usize) -> Self {
        match (side, classes) {
            (120.., _) => Self::Imagenet,
            (46.., _) => Self::TinyImagenet,
            (_, 100..) => Self::Cifar100,
            _ => Self::Cifar10,
        }
    }

    /// Pixels that are added on each side before cropping.
    pub fn pad(self) -> usize {
        match self {
            Self::Cifar10 | Self::Cifar100 => 4,
            Self::TinyImagenet => 8,
            Self::Imagenet => 28,
        }
    }

    /// Side of cutout's square, in pixels.
    pub fn cutout_length(self) -> usize {
        match self {
            Self::Cifar10 | Self::TinyImagenet => 16,
            Self::Cifar100 => 8,
            Self::Imagenet => 56,
        }
    }

    /// The table of AutoAugment.
    pub fn policy(self) -> AutoAugmentPolicy {
        match self {
            Self::Cifar10 | Self::Cifar100 => AutoAugmentPolicy::Cifar10,
            Self::TinyImagenet | Self::Imagenet => AutoAugmentPolicy::ImageNet,
        }
    }

    /// A scheme by its name, one of [`Augmentation::SCHEMES`].
    ///
    /// # Errors
    /// [`AugmentError::UnknownScheme`].
    pub fn scheme(self, name: &str) -> Result<Augmentation, AugmentError> {
        let identity = Augmentation::identity;
        Ok(match name {
            "identity" => identity(),
            "flip" => Augmentation::flip(),
            "crop_flip" => Augmentation::crop_flip(self.pad()),
            "cutout" => Augmentation::cutout(self.cutout_length()),
            "auto_augment" => identity().with_op(AutoAugment::new(self.policy())),
            "rand_augment" => identity().with_op(RandAugment::default()),
            "trivial_augment_wide" => identity().with_op(TrivialAugmentWide::default()),
            "mixup" => Augmentation::mixup(),
            "cutmix" => Augmentation::cutmix(),
            "fmix" => identity().with_mix(FMix::default()),
            _ => {
                let found = name.to_owned();
                let known = Augmentation::KNOWN;
                return Err(AugmentError::UnknownScheme { found, known });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::Cutout;

    #[test]
    fn sizes_and_classes_find_their_data() {
        for (side, classes, preset, length) in [
            (32, 10, Preset::Cifar10, 16),
            (28, 10, Preset::Cifar10, 16),
            (32, 100, Preset::Cifar100, 8),
            (64, 200, Preset::TinyImagenet, 16),
            (224, 1000, Preset::Imagenet, 56),
        ] {
            assert_eq!(Preset::of(side, classes), preset);
            let cutout = preset.scheme("cutout").unwrap();
            assert_eq!(cutout.ops, [Cutout::new(length).into()]);
        }
    }
}
