//! What a recipe names.

use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::augmenter::Augmenter;
use crate::error::AugmentError;
use crate::key::DrawKey;
use crate::mix::{CutMix, Mix, Mixup};
use crate::ops::{Cutout, HorizontalFlip, ImageOp, PadCrop};
use crate::plan::Plan;
use crate::preset::Preset;

/// An augmentation: operations on each image, in order, then at most one mix.
///
/// In a recipe it is a table, or the name of one of the [schemes](Augmentation::SCHEMES):
///
/// ```
/// # use kd_augment::Augmentation;
/// # #[derive(serde::Deserialize)]
/// # struct Recipe { standard: Augmentation, mixed: Augmentation, named: Augmentation }
/// # let recipe: Recipe = toml::from_str(r#"
/// standard = { ops = [{ op = "pad_crop", pad = 4 }, { op = "horizontal_flip" }] }
/// mixed = { mix = { op = "cutmix", alpha = 1.0, boxes = "inside" }, sharing = "batch" }
/// named = "crop_flip"
/// # "#).unwrap();
/// # assert_eq!(recipe.standard, recipe.named);
/// ```
///
/// A name stands for the parameters of CIFAR-10 until [`Augmentation::for_data`] puts in those of the
/// data, and is written as a name until then. Two augmentations are equal if they do the same; a
/// name makes no difference.
///
/// This is a configuration: [`Augmentation::build`] checks it and gives the [`Augmenter`] that draws.
#[derive(Clone, Debug, Default)]
pub struct Augmentation {
    /// What happens to each image by itself, in order.
    pub ops: Vec<ImageOp>,
    /// How images are mixed, last.
    pub mix: Option<Mix>,
    /// For whom parameters are drawn.
    pub sharing: ParamSharing,
    /// Whether consecutive rotations, shears and translations become one resampling. That is faster and blurs less, but the
    /// pixels are not those of the operations one after the other.
    pub fuse_affine: bool,
    /// The scheme that it was read as.
    scheme: Option<&'static str>,
}

impl PartialEq for Augmentation {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| (of.sharing, of.fuse_affine);
        self.does_the_same(other) && parts(self) == parts(other)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// For whom the parameters of an operation are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamSharing {
    /// Each image gets its own.
    #[default]
    PerSample,
    /// One draw for all images of a batch. The experiments on the standard deviation of the teacher's output were made
    /// so, and their values depend on it.
    Batch,
}

impl Augmentation {
    /// The names that [`FromStr`] and recipes know.
    pub const SCHEMES: [&str; 10] = [
        "identity",
        "flip",
        "crop_flip",
        "cutout",
        "auto_augment",
        "rand_augment",
        "trivial_augment_wide",
        "mixup",
        "cutmix",
        "fmix",
    ];
    pub(crate) const KNOWN: &str = "identity, flip, crop_flip, cutout, auto_augment, rand_augment, \
                                    trivial_augment_wide, mixup, cutmix, fmix";

    /// Nothing changes.
    pub fn identity() -> Self {
        Self::default()
    }

    /// Horizontal flip with probability 0.5.
    pub fn flip() -> Self {
        Self::identity().with_op(HorizontalFlip::default())
    }

    /// Pad-and-crop with zeros, then horizontal flip with probability 0.5: the standard of CIFAR with pad 4.
    pub fn crop_flip(pad: usize) -> Self {
        Self::identity()
            .with_op(PadCrop::new(pad))
            .with_op(HorizontalFlip::default())
    }

    /// One black square of side `length`.
    pub fn cutout(length: usize) -> Self {
        Self::identity().with_op(Cutout::new(length))
    }

    /// mixup with alpha 1.
    pub fn mixup() -> Self {
        Self::identity().with_mix(Mixup::default())
    }

    /// CutMix with alpha 1, clipping boxes, deranged partners.
    pub fn cutmix() -> Self {
        Self::identity().with_mix(CutMix::default())
    }

    /// Another operation after those there are.
    #[must_use]
    pub fn with_op(mut self, op: impl Into<ImageOp>) -> Self {
        self.ops.push(op.into());
        self
    }

    /// This mix, in place of any other.
    #[must_use]
    pub fn with_mix(mut self, mix: impl Into<Mix>) -> Self {
        self.mix = Some(mix.into());
        self
    }

    /// For whom parameters are drawn.
    #[must_use]
    pub fn with_sharing(mut self, sharing: ParamSharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Whether consecutive rotations, shears and translations become one resampling.
    #[must_use]
    pub fn with_fused_affine(mut self, fuse: bool) -> Self {
        self.fuse_affine = fuse;
        self
    }

    /// Puts the parameters of the data into an augmentation that was read by its name.
    ///
    /// A recipe is read before its data is known, so a name stands for the parameters of CIFAR-10 at
    /// first. An augmentation that was written out, or changed after it was read, stays as it is.
    ///
    /// ```
    /// use kd_augment::{Augmentation, Preset};
    ///
    /// let named: Augmentation = "cutout".parse()?;
    /// assert_eq!(named, Augmentation::cutout(16));
    /// assert_eq!(named.for_data(Preset::of(32, 100)), Augmentation::cutout(8));
    ///
    /// let own = Augmentation::cutout(16);
    /// assert_eq!(own.clone().for_data(Preset::of(32, 100)), own);
    /// # Ok::<(), kd_augment::AugmentError>(())
    /// ```
    #[must_use]
    pub fn for_data(self, preset: Preset) -> Self {
        match self.name().map(|name| preset.scheme(name)) {
            Some(Ok(of_data)) => Self {
                sharing: self.sharing,
                fuse_affine: self.fuse_affine,
                ..of_data
            },
            _ => self,
        }
    }

    /// The scheme that it was read as, unless it was changed since.
    fn name(&self) -> Option<&'static str> {
        let read = Preset::Cifar10.scheme(self.scheme?).ok()?;
        self.scheme.filter(|_| self.does_the_same(&read))
    }

    /// Whether the operations and the mix are the same.
    fn does_the_same(&self, other: &Self) -> bool {
        self.ops == other.ops && self.mix == other.mix
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`AugmentError::OutOfRange`], naming field, value and range.
    pub fn build(&self) -> Result<Augmenter, AugmentError> {
        Augmenter::new(self)
    }

    /// [`Augmentation::build`], then [`Augmenter::sample`]: for a single batch.
    ///
    /// # Errors
    /// Those of the two.
    pub fn sample(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        shape: [usize; 3],
    ) -> Result<Plan, AugmentError> {
        self.build()?.sample(key, ids, batch_index, shape)
    }
}

impl FromStr for Augmentation {
    type Err = AugmentError;

    /// A scheme by its name, with the parameters of CIFAR-10 until [`Augmentation::for_data`] puts in
    /// those of other data.
    fn from_str(name: &str) -> Result<Self, AugmentError> {
        Ok(Self {
            scheme: Self::SCHEMES.into_iter().find(|known| *known == name),
            ..Preset::Cifar10.scheme(name)?
        })
    }
}

impl Serialize for Augmentation {
    /// The name if that is all there is to say, else the table.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Table<'a> {
            ops: &'a [ImageOp],
            #[serde(skip_serializing_if = "Option::is_none")]
            mix: Option<Mix>,
            sharing: ParamSharing,
            #[serde(skip_serializing_if = "is_false")]
            fuse_affine: bool,
        }

        let alone = self.sharing == ParamSharing::default() && !self.fuse_affine;
        if let Some(name) = self.name().filter(|_| alone) {
            return serializer.serialize_str(name);
        }
        let table = Table {
            ops: &self.ops,
            mix: self.mix,
            sharing: self.sharing,
            fuse_affine: self.fuse_affine,
        };
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Augmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            #[serde(default)]
            ops: Vec<ImageOp>,
            #[serde(default)]
            mix: Option<Mix>,
            #[serde(default)]
            sharing: ParamSharing,
            #[serde(default)]
            fuse_affine: bool,
        }

        struct NameOrTable;

        impl<'de> de::Visitor<'de> for NameOrTable {
            type Value = Augmentation;

            fn expecting(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
                formatter.write_str("the name of a scheme, or a table with ops, mix and sharing")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Augmentation, E> {
                name.parse().map_err(E::custom)
            }

            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Augmentation, M::Error> {
                let Table {
                    ops,
                    mix,
                    sharing,
                    fuse_affine,
                } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Augmentation {
                    ops,
                    mix,
                    sharing,
                    fuse_affine,
                    scheme: None,
                })
            }
        }

        deserializer.deserialize_any(NameOrTable)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_scheme_has_its_name() {
        for name in Augmentation::SCHEMES {
            let scheme: Augmentation = name.parse().unwrap();
            assert!(scheme.build().is_ok());
            let quoted: Augmentation = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            assert_eq!(scheme, quoted);
        }
        assert_eq!(Augmentation::SCHEMES.join(", "), Augmentation::KNOWN);
        let message = "cutmax".parse::<Augmentation>().unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown augmentation 'cutmax', expected one of: identity, flip, crop_flip, cutout, auto_augment, rand_augment, \
             trivial_augment_wide, mixup, cutmix, fmix"
        );
    }

    #[test]
    fn recipes_are_read_strictly() {
        let read = |text: &str| {
            #[derive(Deserialize)]
            struct Recipe {
                augmentation: Augmentation,
            }
            toml::from_str::<Recipe>(text).map(|recipe| recipe.augmentation)
        };
        let table =
            read("augmentation = { ops = [{ op = 'horizontal_flip', p = 1 }], sharing = 'batch' }");
        let expected = Augmentation::identity()
            .with_op(HorizontalFlip { p: 1.0 })
            .with_sharing(ParamSharing::Batch);
        assert_eq!(table.unwrap(), expected);
        assert_eq!(
            read("[augmentation.mix]\nop = 'mixup'\nalpha = 0.2")
                .unwrap()
                .mix,
            Some(
                Mixup {
                    alpha: 0.2,
                    ..Mixup::default()
                }
                .into()
            )
        );
        for (text, complaint) in [
            ("augmentation = 'magic'", "unknown augmentation 'magic'"),
            ("augmentation = { op = [] }", "unknown field `op`"),
            (
                "augmentation = { mix = { op = 'cutmix', beta = 1 } }",
                "unknown field `beta`",
            ),
            (
                "augmentation = { sharing = 'pairs' }",
                "unknown variant `pairs`",
            ),
            ("augmentation = 3", "the name of a scheme, or a table"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(complaint), "{text}: {message}");
        }
    }
}
