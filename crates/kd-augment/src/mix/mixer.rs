//! Drawing mixes.

use rand_distr::{Beta, Distribution};

use super::{Mix, fmix};
use crate::augmentation::ParamSharing;
use crate::error::AugmentError;
use crate::images::elements;
use crate::key::DrawKey;
use crate::plan::{Blend, Masks, MixPlan, PixelBox};
use crate::stream::{Purpose, Stream};

/// A [`Mix`] with valid parameters, from which plans are drawn.
///
/// The partners always belong to the batch. The probability, lambda and the box are drawn for each image, from a stream
/// of its own id, or once for the batch, as [`ParamSharing`] says. The last batch of an epoch may hold a single image,
/// which has nobody to be mixed with: it stays as it is (but for [`Pairing::Halves`](super::Pairing::Halves), which refuses it). So
/// does an image that a permutation makes its own partner, whatever its lambda.
#[derive(Clone, Debug)]
pub struct Mixer {
    mix: Mix,
    sharing: ParamSharing,
    share: Share,
}

/// From where the share of the image itself is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    Drawn(Beta<f64>),
    Fixed(f64),
}

impl Share {
    /// Checks `alpha`, or `lambda` if it is given.
    pub(super) fn new(
        [alpha_field, lambda_field]: [&'static str; 2],
        alpha: f64,
        lambda: Option<f64>,
    ) -> Result<Self, AugmentError> {
        if let Some(lambda) = lambda {
            crate::error::probability(lambda_field, lambda)?;
            return Ok(Self::Fixed(lambda));
        }
        crate::error::concentration(alpha_field, alpha)?;
        let beta = Beta::new(alpha, alpha).map_err(|_| AugmentError::OutOfRange {
            field: alpha_field,
            value: alpha,
            range: "above 0",
        })?;
        Ok(Self::Drawn(beta))
    }

    pub(super) fn draw(&self, stream: &mut Stream) -> f64 {
        match self {
            Self::Drawn(beta) => beta.sample(stream),
            Self::Fixed(lambda) => *lambda,
        }
    }
}

impl Mixer {
    /// Checks `mix`.
    ///
    /// # Errors
    /// A probability or lambda outside [0, 1], an alpha that is not above 0 and at most 10⁶, a decay outside its range.
    pub fn new(mix: Mix, sharing: ParamSharing) -> Result<Self, AugmentError> {
        let share = match &mix {
            Mix::Mixup(mixup) => {
                mixup.check()?;
                Share::new(["mixup.alpha", "mixup.lambda"], mixup.alpha, mixup.lambda)
            }
            Mix::CutMix(cutmix) => {
                cutmix.check()?;
                let fields = ["cutmix.alpha", "cutmix.lambda"];
                Share::new(fields, cutmix.alpha, cutmix.lambda)
            }
            Mix::FMix(fmix) => {
                fmix.check()?;
                Share::new(["fmix.alpha", "fmix.lambda"], fmix.alpha, fmix.lambda)
            }
            Mix::CutNMix(cutnmix) => {
                cutnmix.check()?;
                cutnmix.share()
            }
        }?;
        Ok(Self {
            mix,
            sharing,
            share,
        })
    }

    /// Draws who is mixed with whom and how, for images of `[height, width]`.
    ///
    /// # Errors
    /// An impossible size; an odd number of images under [`Pairing::Halves`](super::Pairing::Halves).
    pub fn sample(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        size: [usize; 2],
    ) -> Result<MixPlan, AugmentError> {
        let mut plan = MixPlan::default();
        self.sample_into(key, ids, batch_index, size, &mut plan)?;
        Ok(plan)
    }

    /// Draws a plan for each of several networks: of a [`CutNMix`](super::CutNMix) with another box
    /// for each, of any other mix the same for all.
    ///
    /// # Errors
    /// Those of [`Mixer::sample`], and those of [`CutNMix::sample`](super::CutNMix::sample).
    pub fn sample_each(
        &self,
        networks: usize,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        size: [usize; 2],
    ) -> Result<Vec<MixPlan>, AugmentError> {
        match &self.mix {
            Mix::CutNMix(mix) => mix.sample(networks, self.sharing, key, ids, batch_index, size),
            _ => Ok(vec![self.sample(key, ids, batch_index, size)?; networks]),
        }
    }

    /// Returns whether each of several networks has a mix of its own.
    pub fn is_per_network(&self) -> bool {
        matches!(self.mix, Mix::CutNMix(_))
    }

    /// [`Mixer::sample`] into the memory of a plan that is no longer needed.
    ///
    /// # Errors
    /// Those of [`Mixer::sample`]; then the plan is of no use.
    pub fn sample_into(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        size: [usize; 2],
        plan: &mut MixPlan,
    ) -> Result<(), AugmentError> {
        if let Mix::CutNMix(mix) = &self.mix {
            let plans = mix.sample(1, self.sharing, key, ids, batch_index, size)?;
            *plan = plans.into_iter().next().unwrap_or_default();
            return Ok(());
        }
        elements([1, size[0], size[1]])?;
        let n = ids.len();
        let (p, pairing) = (self.mix.p(), self.mix.pairing());
        plan.clear();
        let pairs = &mut Stream::new(key, Purpose::Pairing, batch_index);
        pairing.draw(pairs, n, &mut plan.partner)?;
        match self.sharing {
            ParamSharing::PerSample => {
                let stream = |i: usize| Stream::new(key, Purpose::Mix, ids[i]);
                self.fill(plan, p, size, stream);
            }
            ParamSharing::Batch => {
                let stream = |_| Stream::new(key, Purpose::BatchMix, batch_index);
                self.fill(plan, p, size, stream);
            }
        }
        Ok(())
    }

    /// How each image is mixed. An image that is not names itself as its partner.
    fn fill(
        &self,
        plan: &mut MixPlan,
        p: f64,
        [height, width]: [usize; 2],
        stream: impl Fn(usize) -> Stream,
    ) {
        let n = plan.partner.len();
        let pixels = height * width;
        let share_of = |foreign: usize| (1.0 - foreign as f64 / pixels as f64) as f32;
        let mut draws = Draws::of(&mut plan.blend, &self.mix);
        draws.reset(n, pixels);
        for i in 0..n {
            let stream = &mut stream(i);
            let mixed = stream.chance(p);
            let lambda = self.share.draw(stream);
            let mixed = mixed && n > 1;
            if !mixed {
                plan.partner[i] = i;
            }
            let lambda = match (&mut draws, &self.mix) {
                (Draws::Boxes(boxes), Mix::CutMix(cutmix)) => {
                    let area = match mixed {
                        true => cutmix.boxes.draw(stream, lambda, (height, width)),
                        false => PixelBox::EMPTY,
                    };
                    boxes.push(area);
                    share_of(area.area())
                }
                (Draws::Masks(masks), Mix::FMix(fmix)) if mixed => {
                    // All images of a batch have one mask: draw it once.
                    if self.sharing == ParamSharing::Batch && i > 0 {
                        masks.copy(0, i);
                        plan.lambda[0]
                    } else {
                        let size = [height, width];
                        share_of(fmix::draw(stream, lambda, fmix.decay, size, |pixel| {
                            masks.set(i, pixel);
                        }))
                    }
                }
                _ if mixed => lambda as f32,
                _ => 1.0,
            };
            plan.lambda.push(lambda);
        }
    }
}

/// What a mix draws for each image beside lambda.
enum Draws<'a> {
    Nothing,
    Boxes(&'a mut Vec<PixelBox>),
    Masks(&'a mut Masks),
}

impl<'a> Draws<'a> {
    /// The memory of `blend`, which becomes that of `mix` if it is another's.
    fn of(blend: &'a mut Blend, mix: &Mix) -> Self {
        let fits = matches!(
            (&*blend, mix),
            (Blend::Linear, Mix::Mixup(_))
                | (Blend::Paste(_), Mix::CutMix(_))
                | (Blend::Mask(_), Mix::FMix(_))
        );
        if !fits {
            *blend = match mix {
                Mix::Mixup(_) => Blend::Linear,
                Mix::CutMix(_) | Mix::CutNMix(_) => Blend::Paste(Vec::new()),
                Mix::FMix(_) => Blend::Mask(Masks::default()),
            };
        }
        match blend {
            Blend::Linear => Self::Nothing,
            Blend::Paste(boxes) => Self::Boxes(boxes),
            Blend::Mask(masks) => Self::Masks(masks),
        }
    }

    fn reset(&mut self, n: usize, pixels: usize) {
        match self {
            Self::Nothing => {}
            Self::Boxes(boxes) => boxes.clear(),
            Self::Masks(masks) => masks.reset(n, pixels),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::mix::{CutMix, FMix, Mixup};

    const SIZE: [usize; 2] = [8, 8];

    fn sample(mix: impl Into<Mix>, sharing: ParamSharing, ids: &[u64]) -> MixPlan {
        Mixer::new(mix.into(), sharing)
            .unwrap()
            .sample(&DrawKey::new(3), ids, 0, SIZE)
            .unwrap()
    }

    fn mixes() -> [Mix; 3] {
        [
            Mixup::default().into(),
            CutMix::default().into(),
            FMix::default().into(),
        ]
    }

    #[test]
    fn a_single_image_stays_unmixed() {
        for mix in mixes() {
            for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
                let plan = sample(mix, sharing, &[7]);
                assert!(plan.check([1, 8, 8]).is_ok());
                assert_eq!((plan.partner, plan.lambda), (vec![0], vec![1.0]));
                assert!(sample(mix, sharing, &[]).is_empty());
            }
        }
    }

    #[test]
    fn probability_0_mixes_nobody() {
        let never = CutMix {
            p: 0.0,
            ..CutMix::default()
        };
        let plan = sample(never, ParamSharing::PerSample, &[1, 2, 3]);
        assert_eq!(plan.partner, [0, 1, 2]);
        assert_eq!(plan.lambda, [1.0; 3]);
        assert_eq!(plan.blend, Blend::Paste(vec![PixelBox::EMPTY; 3]));
    }

    #[test]
    fn extreme_alphas_give_a_lambda() {
        let ids: Vec<u64> = (0..64).collect();
        let with = |alpha| Mixup {
            alpha,
            ..Mixup::default()
        };
        for alpha in [f64::MIN_POSITIVE, 1e-6, 1e-3, 1.0, 1e6] {
            let plan = sample(with(alpha), ParamSharing::PerSample, &ids);
            assert!(plan.check([64, 8, 8]).is_ok(), "{alpha} {:?}", plan.lambda);
        }
        for alpha in [f64::MAX, f64::INFINITY, f64::NAN, 0.0, -1.0] {
            assert!(Mixer::new(with(alpha).into(), ParamSharing::Batch).is_err());
        }
    }

    #[test]
    fn a_lambda_of_ones_own_is_kept() {
        let ids: Vec<u64> = (0..16).collect();
        let half = Some(0.5);
        let plan = sample(
            Mixup {
                lambda: half,
                ..Mixup::default()
            },
            ParamSharing::PerSample,
            &ids,
        );
        assert!(
            plan.lambda
                .iter()
                .zip(&plan.partner)
                .enumerate()
                .all(|(i, (lambda, partner))| { *lambda == 0.5 || *partner == i })
        );
        let plan = sample(
            FMix {
                lambda: half,
                ..FMix::default()
            },
            ParamSharing::Batch,
            &ids,
        );
        assert_eq!(plan.lambda, [0.5; 16]);
        for lambda in [-0.1, 1.1, f64::NAN] {
            let mix = CutMix {
                lambda: Some(lambda),
                ..CutMix::default()
            };
            let message = Mixer::new(mix.into(), ParamSharing::Batch).unwrap_err();
            assert!(message.to_string().starts_with("cutmix.lambda is "));
        }
    }

    #[test]
    fn used_memory_changes_nothing() {
        let ids: Vec<u64> = (0..9).collect();
        let mut plan = MixPlan::default();
        for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
            for mix in mixes().into_iter().chain(mixes()) {
                let mixer = Mixer::new(mix, sharing).unwrap();
                for batch in 0..3 {
                    let key = DrawKey::new(batch);
                    mixer
                        .sample_into(&key, &ids, batch, SIZE, &mut plan)
                        .unwrap();
                    assert_eq!(plan, mixer.sample(&key, &ids, batch, SIZE).unwrap());
                    assert!(plan.check([9, 8, 8]).is_ok());
                }
            }
        }
    }
}
