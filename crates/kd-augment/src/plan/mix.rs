//! The part of a plan that mixes images with each other.

use serde::{Deserialize, Serialize};

use super::PixelBox;
use crate::error::AugmentError;

/// Who is mixed with whom, how, and how much of each image is its own.
///
/// This is what happened, not a label: a teacher labels mixed images. [`MixPlan::soft_labels`] is there for those who want
/// the labels of the papers on mixing. An image that is not mixed names itself as its partner, with lambda 1; one
/// that a permutation made its own partner may have another lambda.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixPlan {
    /// For each image the position of the other one in the batch.
    pub partner: Vec<usize>,
    /// For each image the share that is its own: the weight of its pixels (linear), or the part of its pixels that it
    /// keeps (paste), recomputed from the box that is really pasted.
    pub lambda: Vec<f32>,
    /// How the two become one.
    pub blend: Blend,
}

/// How two images become one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Blend {
    #[default]
    /// lambda · own + (1 − lambda) · partner, in every pixel.
    Linear,
    /// For each image the box that comes from the partner; the rest is its own.
    Paste(Vec<PixelBox>),
    /// For each image the pixels that come from the partner; the rest are its own.
    Mask(Masks),
}

/// A mask of pixels for each image: 1 where the pixel is the partner's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masks {
    /// Words of an image.
    words: usize,
    /// Bit `i mod 64` of word `i / 64` is pixel i, row by row.
    bits: Vec<u64>,
}

impl Masks {
    /// Empty masks of `pixels` pixels for `n` images.
    pub(crate) fn reset(&mut self, n: usize, pixels: usize) {
        self.words = pixels.div_ceil(64);
        self.bits.clear();
        self.bits.resize(n * self.words, 0);
    }

    /// Gives a pixel of an image to the partner.
    #[inline]
    pub(crate) fn set(&mut self, image: usize, pixel: usize) {
        self.bits[image * self.words + pixel / 64] |= 1 << (pixel % 64);
    }

    /// Copies the mask of one image to another.
    pub(crate) fn copy(&mut self, from: usize, to: usize) {
        let words = self.words;
        self.bits
            .copy_within(from * words..(from + 1) * words, to * words);
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.bits.len().checked_div(self.words).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// Whether a pixel of an image is the partner's.
    ///
    /// # Panics
    /// There is no such image or pixel.
    #[inline]
    pub fn is_foreign(&self, image: usize, pixel: usize) -> bool {
        assert!(pixel < self.words * 64, "a pixel of the image");
        self.bits[image * self.words + pixel / 64] >> (pixel % 64) & 1 == 1
    }

    /// The runs of the partner's pixels of an image of so many pixels.
    pub(crate) fn foreign_runs(
        &self,
        image: usize,
        pixels: usize,
    ) -> impl Iterator<Item = core::ops::Range<usize>> {
        let words = &self.bits[image * self.words..][..self.words];
        let next = move |from: usize, foreign: bool| {
            let mut at = from;
            while at < pixels {
                let word = if foreign {
                    words[at / 64]
                } else {
                    !words[at / 64]
                };
                let rest = word >> (at % 64);
                if rest != 0 {
                    return (at + rest.trailing_zeros() as usize).min(pixels);
                }
                at = (at / 64 + 1) * 64;
            }
            pixels
        };
        let mut at = 0;
        core::iter::from_fn(move || {
            let start = next(at, true);
            at = next(start, false);
            (start < pixels).then_some(start..at)
        })
    }
}

impl MixPlan {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.partner.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.partner.is_empty()
    }

    /// The pasted box of every image, if the mix pastes.
    pub fn boxes(&self) -> Option<&[PixelBox]> {
        match &self.blend {
            Blend::Paste(boxes) => Some(boxes),
            Blend::Linear | Blend::Mask(_) => None,
        }
    }

    /// Takes all images away and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.partner.clear();
        self.lambda.clear();
    }

    /// lambda · one-hot(own label) + (1 − lambda) · one-hot(partner's label), row by row: `[n, classes]`.
    ///
    /// # Errors
    /// Another number of labels than images, a label that is not below `classes`, a partner outside the batch.
    pub fn soft_labels(&self, labels: &[usize], classes: usize) -> Result<Vec<f32>, AugmentError> {
        let n = self.len();
        if labels.len() != n {
            return Err(AugmentError::Length {
                what: "labels",
                expected: n,
                found: labels.len(),
            });
        }
        if let Some((image, &label)) = labels
            .iter()
            .enumerate()
            .find(|(_, label)| **label >= classes)
        {
            return Err(AugmentError::Label {
                image,
                label,
                classes,
            });
        }
        self.check_lengths()?;
        let mut soft = vec![0.0; n * classes];
        for (i, row) in soft.chunks_exact_mut(classes.max(1)).enumerate() {
            row[labels[i]] += self.lambda[i];
            row[labels[self.partner[i]]] += 1.0 - self.lambda[i];
        }
        Ok(soft)
    }

    /// Whether it can be applied to a batch of `[n, height, width]`.
    pub(crate) fn check(&self, [n, h, w]: [usize; 3]) -> Result<(), AugmentError> {
        if self.len() != n {
            return Err(AugmentError::Length {
                what: "mix.partner",
                expected: n,
                found: self.len(),
            });
        }
        self.check_lengths()?;
        if let Blend::Mask(masks) = &self.blend
            && masks.words != (h * w).div_ceil(64)
        {
            return Err(AugmentError::Length {
                what: "the words of a mask",
                expected: (h * w).div_ceil(64),
                found: masks.words,
            });
        }
        let outside = |area: &PixelBox| !area.fits(h, w);
        if let Some(image) = self
            .boxes()
            .and_then(|boxes| boxes.iter().position(outside))
        {
            let reason = "the pasted box lies outside the image";
            return Err(AugmentError::InvalidPlan { image, reason });
        }
        Ok(())
    }

    fn check_lengths(&self) -> Result<(), AugmentError> {
        let n = self.len();
        let length = |what, found| match found == n {
            true => Ok(()),
            false => Err(AugmentError::Length {
                what,
                expected: n,
                found,
            }),
        };
        length("mix.lambda", self.lambda.len())?;
        length("mix.blend.paste", self.boxes().map_or(n, <[PixelBox]>::len))?;
        if let Blend::Mask(masks) = &self.blend {
            length("mix.blend.mask", masks.bits.len() / masks.words.max(1))?;
            length(
                "mix.blend.mask.bits",
                masks.bits.len().div_ceil(masks.words.max(1)),
            )?;
        }
        if let Some(image) = self.partner.iter().position(|partner| *partner >= n) {
            return Err(AugmentError::InvalidPlan {
                image,
                reason: "its partner is outside the batch",
            });
        }
        if let Some(image) = self
            .lambda
            .iter()
            .position(|lambda| !(0.0..=1.0).contains(lambda))
        {
            return Err(AugmentError::InvalidPlan {
                image,
                reason: "its lambda is outside [0, 1]",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plan() -> MixPlan {
        MixPlan {
            partner: vec![1, 0],
            lambda: vec![0.75, 1.0],
            blend: Blend::Linear,
        }
    }

    #[test]
    fn soft_labels_are_the_two_shares() {
        assert_eq!(
            plan().soft_labels(&[2, 0], 3).unwrap(),
            [0.25, 0.0, 0.75, 1.0, 0.0, 0.0]
        );
        // Both of one class: all of it.
        assert_eq!(
            plan().soft_labels(&[1, 1], 2).unwrap(),
            [0.0, 1.0, 0.0, 1.0]
        );
        assert!(matches!(
            plan().soft_labels(&[2, 3], 3),
            Err(AugmentError::Label {
                image: 1,
                label: 3,
                classes: 3
            })
        ));
        assert!(plan().soft_labels(&[2], 3).is_err());
    }

    #[test]
    fn broken_mixes_are_refused() {
        let size = [2, 4, 4];
        assert!(plan().check(size).is_ok());
        assert!(plan().check([3, 4, 4]).is_err());
        assert!(
            MixPlan {
                partner: vec![1, 2],
                ..plan()
            }
            .check(size)
            .is_err()
        );
        assert!(
            MixPlan {
                lambda: vec![0.5, f32::NAN],
                ..plan()
            }
            .check(size)
            .is_err()
        );
        assert!(
            MixPlan {
                lambda: vec![0.5],
                ..plan()
            }
            .check(size)
            .is_err()
        );
        let outside = PixelBox {
            x0: 0,
            y0: 0,
            x1: 5,
            y1: 4,
        };
        assert!(
            MixPlan {
                blend: Blend::Paste(vec![outside; 2]),
                ..plan()
            }
            .check(size)
            .is_err()
        );
        assert!(
            MixPlan {
                blend: Blend::Paste(vec![PixelBox::EMPTY]),
                ..plan()
            }
            .check(size)
            .is_err()
        );
    }

    #[test]
    fn runs_of_a_mask() {
        let pixels = 150;
        let foreign = |pixel: usize| pixel % 7 < 2 || (60..70).contains(&pixel) || pixel == 149;
        let mut masks = Masks::default();
        masks.reset(2, pixels);
        (0..pixels)
            .filter(|pixel| foreign(*pixel))
            .for_each(|pixel| masks.set(1, pixel));
        assert_eq!(masks.foreign_runs(0, pixels).count(), 0);
        let runs: Vec<usize> = masks.foreign_runs(1, pixels).flatten().collect();
        assert_eq!(
            runs,
            (0..pixels)
                .filter(|pixel| foreign(*pixel))
                .collect::<Vec<_>>()
        );
        masks.copy(1, 0);
        assert!((0..pixels).all(|pixel| masks.is_foreign(0, pixel) == foreign(pixel)));
    }
}
