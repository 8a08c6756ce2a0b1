//! CutMixPick.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{PickCriterion, PickSize, Picked, Pool};
use crate::augmentation::ParamSharing;
use crate::error::AugmentError;
use crate::key::DrawKey;
use crate::mix::{CutMix, Mixer};

/// TLCutMix with picking: several CutMixes of a batch, all labelled by the teacher, of which the most informative are
/// trained on.
///
/// As published: two CutMixes, alpha 1, deranged partners, as many picked as the batch holds, by the teacher's entropy.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kd_augment::{CutMixPick, DrawKey};
///
/// # fn main() -> Result<(), kd_augment::AugmentError> {
/// let device = Device::flex();
/// let images = Tensor::<4>::ones([4, 3, 8, 8], &device);
/// let teacher = |images: Tensor<4>| images.mean_dim(3).mean_dim(2).flatten::<2>(1, 3);
///
/// let ids = [10, 11, 12, 13]; // of the samples in the data set
/// let batch_index = 0;
/// let picked = CutMixPick::new().pick(images, &DrawKey::new(42), &ids, batch_index, teacher)?;
/// assert_eq!(picked.images.dims(), [4, 3, 8, 8]);
/// assert_eq!(picked.teacher_logits.dims(), [4, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CutMixPick {
    /// How candidates are mixed.
    pub cutmix: CutMix,
    /// For whom lambda and the box are drawn.
    pub sharing: ParamSharing,
    /// How many there are, and which are picked.
    pub pool: Pool,
}

impl CutMixPick {
    /// As published, with lambda and box drawn for each image.
    pub fn new() -> Self {
        Self::default()
    }

    /// How candidates are mixed: alpha, pairing, box.
    #[must_use]
    pub fn with_cutmix(mut self, cutmix: CutMix) -> Self {
        self.cutmix = cutmix;
        self
    }

    /// For whom lambda and the box are drawn.
    #[must_use]
    pub fn with_sharing(mut self, sharing: ParamSharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Mixes of the batch in the pool.
    #[must_use]
    pub fn with_copies(mut self, copies: usize) -> Self {
        self.pool.copies = copies;
        self
    }

    /// How many are picked, instead of as many as the batch holds.
    #[must_use]
    pub fn with_pick(mut self, pick: usize) -> Self {
        self.pool.pick = PickSize::Fixed(pick);
        self
    }

    /// What they are picked by.
    #[must_use]
    pub fn with_criterion(mut self, criterion: PickCriterion) -> Self {
        self.pool.criterion = criterion;
        self
    }

    /// Picks from mixes of `base`, the batch as the teacher is to see it, `[n, channels, height, width]`, any scale.
    ///
    /// `ids` name the samples and `batch_index` the batch for the draws; `teacher` gives logits `[rows, classes]` and is in
    /// evaluation mode. See [`Pool::draw`].
    ///
    /// # Errors
    /// A field outside its range; an empty batch; ids or logits that do not fit; a criterion that needs the student.
    pub fn pick(
        &self,
        base: Tensor<4>,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        teacher: impl FnMut(Tensor<4>) -> Tensor<2>,
    ) -> Result<Picked, AugmentError> {
        self.pool
            .draw(&self.mixer()?, base, key, ids, batch_index, teacher, None)
    }

    /// [`CutMixPick::pick`] by a criterion that may look at the student. Give a student that leaves its batch-norm
    /// statistics alone (`model.valid()`).
    ///
    /// # Errors
    /// Those of [`CutMixPick::pick`].
    pub fn pick_with_student(
        &self,
        base: Tensor<4>,
        key: &DrawKey,
        ids: &[u64],
        batch_index: u64,
        teacher: impl FnMut(Tensor<4>) -> Tensor<2>,
        mut student: impl FnMut(Tensor<4>) -> Tensor<2>,
    ) -> Result<Picked, AugmentError> {
        let student: Option<&mut dyn FnMut(Tensor<4>) -> Tensor<2>> = Some(&mut student);
        self.pool.draw(
            &self.mixer()?,
            base,
            key,
            ids,
            batch_index,
            teacher,
            student,
        )
    }

    fn mixer(&self) -> Result<Mixer, AugmentError> {
        Mixer::new(self.cutmix.into(), self.sharing)
    }
}
