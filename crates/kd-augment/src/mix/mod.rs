//! Operations that mix two images of a batch, one file each.

mod cutmix;
mod mixup;
mod pairing;

use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

pub use cutmix::{CutMix, MixBox};
pub use mixup::Mixup;
pub use pairing::Pairing;

use crate::augmentation::ParamSharing;
use crate::error::AugmentError;
use crate::key::DrawKey;
use crate::plan::{Blend, MixPlan, PixelBox};
use crate::stream::{Purpose, Stream};

/// A way of mixing images, as a recipe names it: a table with the key `op`.
///
/// Mixing comes last and in float. Labels stay untouched: with a teacher labelling the mixed images these are TLmixup and
/// TLCutMix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mix {
    /// A weighted sum of two images.
    Mixup(Mixup),
    /// A box of one image pasted into the other.
    #[serde(rename = "cutmix")]
    CutMix(CutMix),
}

impl From<Mixup> for Mix {
    fn from(mix: Mixup) -> Self {
        Self::Mixup(mix)
    }
}

impl From<CutMix> for Mix {
    fn from(mix: CutMix) -> Self {
        Self::CutMix(mix)
    }
}

/// A [`Mix`] with valid parameters, from which plans are drawn.
///
/// The partners always belong to the batch. The probability, lambda and the box are drawn for each image, from a stream
/// of its own id, or once for the batch, as [`ParamSharing`] says. The last batch of an epoch may hold a single image,
/// which has nobody to be mixed with: it stays as it is.
#[derive(Clone, Debug)]
pub struct Mixer {
    mix: Mix,
    sharing: ParamSharing,
    lambda: Beta<f64>,
}

impl Mixer {
    /// Checks `mix`.
    ///
    /// # Errors
    /// A probability outside [0, 1], an alpha that is not above 0 and at most 10⁶.
    pub fn new(mix: Mix, sharing: ParamSharing) -> Result<Self, AugmentError> {
        let (field, alpha) = match &mix {
            Mix::Mixup(mixup) => {
                mixup.check()?;
                ("mixup.alpha", mixup.alpha)
            }
            Mix::CutMix(cutmix) => {
                cutmix.check()?;
                ("cutmix.alpha", cutmix.alpha)
            }
        };
        let range = "above 0";
        let lambda = Beta::new(alpha, alpha).map_err(|_| AugmentError::OutOfRange {
            field,
            value: alpha,
            range,
        })?;
        Ok(Self {
            mix,
            sharing,
            lambda,
        })
    }

    /// Draws who is mixed with whom and how, for images of `[height, width]`.
    pub fn sample(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        [height, width]: [usize; 2],
    ) -> MixPlan {
        let (p, pairing) = match &self.mix {
            Mix::Mixup(mixup) => (mixup.p, mixup.pairing),
            Mix::CutMix(cutmix) => (cutmix.p, cutmix.pairing),
        };
        let mut partner = pairing.draw(
            &mut Stream::new(key, Purpose::Pairing, batch_index),
            ids.len(),
        );
        let mut draws = self.draws(key, ids, batch_index, |stream| {
            let mixed = stream.chance(p);
            let lambda = self.lambda.sample(stream);
            (mixed && ids.len() > 1).then(|| match &self.mix {
                Mix::Mixup(_) => (lambda as f32, PixelBox::EMPTY),
                Mix::CutMix(cutmix) => {
                    let pasted = cutmix.boxes.draw(stream, lambda, (height, width));
                    let foreign = pasted.area() as f64 / (height as f64 * width as f64);
                    ((1.0 - foreign) as f32, pasted)
                }
            })
        });
        for (i, draw) in draws.iter_mut().enumerate() {
            if draw.is_none() {
                partner[i] = i;
            }
        }
        let drawn = || {
            draws
                .iter()
                .map(|draw| draw.unwrap_or((1.0, PixelBox::EMPTY)))
        };
        MixPlan {
            partner,
            lambda: drawn().map(|(lambda, _)| lambda).collect(),
            blend: match &self.mix {
                Mix::Mixup(_) => Blend::Linear,
                Mix::CutMix(_) => Blend::Paste(drawn().map(|(_, pasted)| pasted).collect()),
            },
        }
    }

    /// One draw for each image, or one for all.
    fn draws<T: Copy>(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        draw: impl Fn(&mut Stream) -> T,
    ) -> Vec<T> {
        match self.sharing {
            ParamSharing::PerSample => ids
                .iter()
                .map(|&id| draw(&mut Stream::new(key, Purpose::Mix, id)))
                .collect(),
            ParamSharing::Batch => {
                vec![draw(&mut Stream::new(key, Purpose::BatchMix, batch_index)); ids.len()]
            }
        }
    }
}

/// `alpha` and `p` if the recipe does not say otherwise.
fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SIZE: [usize; 2] = [8, 8];

    fn sample(mix: impl Into<Mix>, sharing: ParamSharing, ids: &[u64]) -> MixPlan {
        Mixer::new(mix.into(), sharing)
            .unwrap()
            .sample(&DrawKey::new(3), ids, 0, SIZE)
    }

    #[test]
    fn a_single_image_stays_unmixed() {
        for mix in [Mix::from(Mixup::default()), CutMix::default().into()] {
            for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
                let plan = sample(mix, sharing, &[7]);
                assert_eq!((plan.partner, plan.lambda), (vec![0], vec![1.0]));
                assert!(sample(mix, sharing, &[]).is_empty());
            }
        }
    }

    #[test]
    fn probability_0_mixes_nobody() {
        let plan = sample(
            CutMix {
                p: 0.0,
                ..CutMix::default()
            },
            ParamSharing::PerSample,
            &[1, 2, 3],
        );
        assert_eq!(plan.partner, [0, 1, 2]);
        assert_eq!(plan.lambda, [1.0; 3]);
        assert_eq!(plan.blend, Blend::Paste(vec![PixelBox::EMPTY; 3]));
    }

    #[test]
    fn extreme_alphas_give_a_lambda() {
        for alpha in [f64::MIN_POSITIVE, 1e-6, 1e-3, 1.0, 1e6] {
            let ids: Vec<u64> = (0..64).collect();
            let plan = sample(
                Mixup {
                    alpha,
                    ..Mixup::default()
                },
                ParamSharing::PerSample,
                &ids,
            );
            assert!(plan.check([64, 8, 8]).is_ok(), "{alpha} {:?}", plan.lambda);
        }
        for alpha in [f64::MAX, f64::INFINITY, f64::NAN, 0.0, -1.0] {
            let mix = Mixup {
                alpha,
                ..Mixup::default()
            }
            .into();
            assert!(Mixer::new(mix, ParamSharing::Batch).is_err());
        }
    }
}
