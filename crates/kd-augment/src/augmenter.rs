//! Drawing plans.

use crate::augmentation::{Augmentation, ParamSharing};
use crate::error::AugmentError;
use crate::key::DrawKey;
use crate::mix::Mixer;
use crate::ops::ImageOp;
use crate::plan::{ImagePlan, Plan};
use crate::stream::{Purpose, Stream};

/// A valid [`Augmentation`], from which plans are drawn.
#[derive(Clone, Debug)]
pub struct Augmenter {
    ops: Vec<ImageOp>,
    mixer: Option<Mixer>,
    sharing: ParamSharing,
    fuse_affine: bool,
}

impl Augmenter {
    pub(crate) fn new(augmentation: &Augmentation) -> Result<Self, AugmentError> {
        let Augmentation {
            ops,
            mix,
            sharing,
            fuse_affine,
            ..
        } = augmentation;
        ops.iter().try_for_each(ImageOp::check)?;
        let mixer = mix.map(|mix| Mixer::new(mix, *sharing)).transpose()?;
        Ok(Self {
            ops: ops.clone(),
            mixer,
            sharing: *sharing,
            fuse_affine: *fuse_affine,
        })
    }

    /// Draws what happens to a batch: the samples `ids`, in this order, each of `shape` = `[channels, height, width]`.
    ///
    /// Under [`ParamSharing::PerSample`] the operations on an image depend on `key` and its id alone. What belongs to the
    /// batch (partners; everything under [`ParamSharing::Batch`]) depends on `key` and `batch_index`. An empty batch
    /// gives an empty plan.
    ///
    /// # Errors
    /// An impossible shape, or one that an operation cannot treat; an odd number of images under
    /// [`Pairing::Halves`](crate::Pairing::Halves).
    pub fn sample(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        shape: [usize; 3],
    ) -> Result<Plan, AugmentError> {
        let mut plan = Plan::default();
        self.sample_into(key, ids, batch_index, shape, &mut plan)?;
        Ok(plan)
    }

    /// [`Augmenter::sample`] into the memory of a plan that is no longer needed.
    ///
    /// # Errors
    /// Those of [`Augmenter::sample`]; then the plan is of no use.
    pub fn sample_into(
        &self,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        shape: [usize; 3],
        plan: &mut Plan,
    ) -> Result<(), AugmentError> {
        let Plan { images, mix } = plan;
        images.reset(shape, self.fuse_affine)?;
        self.ops.iter().try_for_each(|op| op.check_shape(shape))?;
        match self.sharing {
            ParamSharing::PerSample => {
                for &id in ids {
                    images.add_image();
                    self.draw(key, Purpose::ImageOp, id, images);
                }
            }
            ParamSharing::Batch if ids.is_empty() => {}
            ParamSharing::Batch => {
                images.add_image();
                self.draw(key, Purpose::BatchImageOp, batch_index, images);
                for _ in 1..ids.len() {
                    images.repeat_image();
                }
            }
        }
        let [_, h, w] = shape;
        match &self.mixer {
            None => *mix = None,
            Some(mixer) => {
                let mix = mix.get_or_insert_default();
                mixer.sample_into(key, ids, batch_index, [h, w], mix)?;
            }
        }
        Ok(())
    }

    /// The list of segments of one image, or of all.
    fn draw(&self, key: &DrawKey, purpose: fn(u32) -> Purpose, subject: u64, plan: &mut ImagePlan) {
        for (position, op) in self.ops.iter().enumerate() {
            op.draw(
                &mut Stream::new(key, purpose(position as u32), subject),
                plan,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHAPE: [usize; 3] = [3, 8, 8];

    #[test]
    fn an_empty_batch_gives_an_empty_plan() {
        for name in Augmentation::SCHEMES {
            for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
                let scheme = name.parse::<Augmentation>().unwrap().with_sharing(sharing);
                let plan = scheme.sample(&DrawKey::new(1), &[], 0, SHAPE).unwrap();
                assert!(plan.images.is_empty());
                assert!(plan.check([0, 3, 8, 8]).is_ok());
            }
        }
    }

    #[test]
    fn batch_sharing_is_one_draw() {
        let scheme = Augmentation::crop_flip(4).with_sharing(ParamSharing::Batch);
        let ids = [5, 6, 7];
        let mut lists = Vec::new();
        for batch in 0..20 {
            let plan = scheme.sample(&DrawKey::new(1), &ids, batch, SHAPE).unwrap();
            assert!((1..3).all(|i| plan.images.image(i) == plan.images.image(0)));
            lists.push(plan.images.image(0).to_vec());
        }
        lists.dedup();
        assert!(lists.len() > 10, "batches share draws");
    }

    #[test]
    fn impossible_fields_are_refused_where_built() {
        let scheme = Augmentation::cutout(0);
        assert_eq!(
            scheme.build().unwrap_err().to_string(),
            "cutout.length is 0, but must be between 1 and 1048576"
        );
        let mix = crate::CutMix {
            alpha: -1.0,
            ..Default::default()
        };
        assert!(Augmentation::identity().with_mix(mix).build().is_err());
        assert!(
            Augmentation::flip()
                .sample(&DrawKey::new(0), &[1], 0, [3, 0, 8])
                .is_err()
        );
    }
}
