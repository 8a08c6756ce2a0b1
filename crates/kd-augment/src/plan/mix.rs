//! The part of a plan that mixes images with each other.

use serde::{Deserialize, Serialize};

use super::PixelBox;
use crate::error::AugmentError;

/// Who is mixed with whom, how, and how much of each image is its own.
///
/// This is what happened, not a label: a teacher labels mixed images. [`MixPlan::soft_labels`] is there for those who want
/// the labels of the papers on mixing. An image that is not mixed names itself as its partner, with lambda 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Blend {
    /// lambda · own + (1 − lambda) · partner, in every pixel.
    Linear,
    /// For each image the box that comes from the partner; the rest is its own.
    Paste(Vec<PixelBox>),
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
            Blend::Linear => None,
            Blend::Paste(boxes) => Some(boxes),
        }
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
}
