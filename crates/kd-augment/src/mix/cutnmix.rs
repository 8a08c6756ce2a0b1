//! CutⁿMix.

use serde::{Deserialize, Serialize};

use super::mixer::Share;
use super::{MixBox, Pairing, one, permutation};
use crate::augmentation::ParamSharing;
use crate::error::{self, AugmentError};
use crate::images::elements;
use crate::key::DrawKey;
use crate::plan::{Blend, MixPlan, PixelBox};
use crate::stream::{Purpose, Stream};

/// CutMix for several networks that learn from each other: every network gets its own box of every pair, and all boxes of a pair
/// have one area, so that the networks share their mixed labels.
///
/// Shen, Xu, Yang, Li, Guo, "Mixed Sample Augmentation for Online Distillation", Eq. 5 to 7: pairs and λ ~ Beta(alpha, alpha) are
/// drawn once, the mask for each network. Boxes are always whole ([`MixBox::Inside`]): a clipped box
/// would have another area for each network, against Eq. 7. Each network's images may be augmented differently beforehand.
/// Pairs and lambda are drawn as a [`Mixer`](crate::Mixer) draws them under the same key; give it a view of its own to part them.
///
/// ```
/// use kd_augment::{CutNMix, DrawKey, ParamSharing};
/// # fn main() -> Result<(), kd_augment::AugmentError> {
/// let (key, ids) = (DrawKey::new(1), [4, 5, 6, 7]);
/// let plans = CutNMix::default().sample(3, ParamSharing::PerSample, &key, &ids, 0, [32, 32])?;
/// assert_eq!(plans.len(), 3);
/// assert_eq!(plans[0].lambda, plans[2].lambda);
/// assert_ne!(plans[0].boxes(), plans[2].boxes());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutNMix {
    /// Both parameters of the Beta distribution, above 0 and at most 10⁶; 1 (uniform) if not given.
    #[serde(default = "one")]
    pub alpha: f64,
    /// The share that is kept, in [0, 1], instead of a draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Who is mixed with whom; a plain permutation if not given, as in CutMix.
    #[serde(default = "permutation")]
    pub pairing: Pairing,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "one")]
    pub p: f64,
}

impl Default for CutNMix {
    /// Returns the mix as published.
    fn default() -> Self {
        Self {
            alpha: one(),
            lambda: None,
            pairing: permutation(),
            p: one(),
        }
    }
}

impl CutNMix {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        error::probability("cutnmix.p", self.p)?;
        self.share().map(drop)
    }

    pub(super) fn share(&self) -> Result<Share, AugmentError> {
        Share::new(["cutnmix.alpha", "cutnmix.lambda"], self.alpha, self.lambda)
    }

    /// Draws a plan for each network, for images of `[height, width]`.
    ///
    /// # Errors
    /// Not 1 to 1024 networks; a field outside its range; an impossible size; an odd number of images under
    /// [`Pairing::Halves`].
    pub fn sample(
        &self,
        networks: usize,
        sharing: ParamSharing,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        [height, width]: [usize; 2],
    ) -> Result<Vec<MixPlan>, AugmentError> {
        error::count("networks", networks, 1, 1024, "between 1 and 1024")?;
        self.check()?;
        let share = self.share()?;
        elements([1, height, width])?;
        let n = ids.len();
        let mut partner = Vec::new();
        let pairs = &mut Stream::new(key, Purpose::Pairing, batch_index);
        self.pairing.draw(pairs, n, &mut partner)?;
        let stream = |i: usize| match sharing {
            ParamSharing::PerSample => Stream::new(key, Purpose::Mix, ids[i]),
            ParamSharing::Batch => Stream::new(key, Purpose::BatchMix, batch_index),
        };
        let shares: Vec<Option<f64>> = (0..n)
            .map(|i| {
                let stream = &mut stream(i);
                let mixed = stream.chance(self.p);
                let lambda = share.draw(stream);
                (mixed && n > 1).then_some(lambda)
            })
            .collect();
        for (i, share) in shares.iter().enumerate() {
            if share.is_none() {
                partner[i] = i;
            }
        }
        let plan = |network: u32| {
            let boxes: Vec<PixelBox> = shares
                .iter()
                .enumerate()
                .map(|(i, share)| {
                    let stream = &mut match sharing {
                        ParamSharing::PerSample => {
                            Stream::new(key, Purpose::NetworkBox(network), ids[i])
                        }
                        ParamSharing::Batch => {
                            Stream::new(key, Purpose::BatchNetworkBox(network), batch_index)
                        }
                    };
                    share.map_or(PixelBox::EMPTY, |lambda| {
                        MixBox::Inside.draw(stream, lambda, (height, width))
                    })
                })
                .collect();
            let share = |area: &PixelBox| 1.0 - area.area() as f64 / (height * width) as f64;
            MixPlan {
                partner: partner.clone(),
                lambda: boxes.iter().map(|area| share(area) as f32).collect(),
                blend: Blend::Paste(boxes),
            }
        };
        Ok((0..networks as u32).map(plan).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn networks_share_pairs_and_areas_but_no_box() {
        let ids: Vec<u64> = (0..32).collect();
        for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
            let mix = CutNMix::default();
            let plans = mix
                .sample(4, sharing, &DrawKey::new(0), &ids, 0, [32, 31])
                .unwrap();
            for (j, plan) in plans.iter().enumerate() {
                assert!(plan.check([32, 32, 31]).is_ok());
                assert_eq!(plan.partner, plans[0].partner);
                assert_eq!(plan.lambda, plans[0].lambda);
                for other in &plans[..j] {
                    assert_ne!(plan.boxes(), other.boxes());
                }
            }
        }
    }

    #[test]
    fn impossible_fields_are_refused() {
        let sample = |networks, mix: CutNMix| {
            let (key, sharing) = (DrawKey::new(0), ParamSharing::Batch);
            mix.sample(networks, sharing, &key, &[1, 2, 3], 0, [4, 4])
        };
        assert!(sample(2, CutNMix::default()).is_ok());
        assert!(sample(0, CutNMix::default()).is_err());
        for mix in [
            CutNMix {
                alpha: 0.0,
                ..CutNMix::default()
            },
            CutNMix {
                p: 2.0,
                ..CutNMix::default()
            },
            CutNMix {
                pairing: Pairing::Halves,
                ..CutNMix::default()
            },
        ] {
            assert!(sample(2, mix).is_err(), "{mix:?}");
        }
    }
}
