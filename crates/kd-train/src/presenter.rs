use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_augment::{Affine, Augmentation, Augmenter, DrawKey, Images, Mixer, cpu, tensor};
use kd_data::Batch;
use kd_models::Classify;

use crate::TrainError;
use crate::objective::{MixedImages, Views};
use crate::recipe::Recipe;
use crate::teacher::Teacher;
use crate::views::MixedView;

/// The view whose draws the original view has.
const ORIGINAL: u32 = 0;
/// The view whose draws the mixed view has.
const MIXED: u32 = 1;

/// Makes the [`Views`] of a batch, as the recipe says.
pub(crate) struct Presenter {
    seed: u64,
    augmenter: Augmenter,
    mixed: Option<(MixedView, Mixer)>,
    original_needs_teacher: bool,
    /// Without autodiff.
    device: Device,
}

/// Images that went through each network: what a step costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForwardCounts {
    pub(crate) teacher: u64,
    /// To score candidates, without a backward pass.
    pub(crate) student_scoring: u64,
    /// With a backward pass.
    pub(crate) student: u64,
}

impl Presenter {
    pub(crate) fn new(recipe: &Recipe, device: &Device) -> Result<Self, TrainError> {
        let weights = recipe.views.weights();
        let mixed = match &recipe.views.mixed {
            Some(view) if weights.kl_mixed > 0.0 => {
                Some((view.clone(), Mixer::new(view.mix, view.sharing)?))
            }
            _ => None,
        };
        Ok(Self {
            seed: recipe.seed,
            augmenter: recipe.views.original.augmentation.build()?,
            mixed,
            original_needs_teacher: weights.kl > 0.0,
            device: device.clone().inner(),
        })
    }

    /// The views of one batch. The student is only asked where a criterion wants its opinion, and then without
    /// autodiff and with its statistics at rest.
    pub(crate) fn views<S: Classify>(
        &self,
        batch: &Batch,
        teacher: Option<&Teacher>,
        student: &S,
        counts: &mut ForwardCounts,
    ) -> Result<Views, TrainError> {
        let key = DrawKey::new(self.seed).epoch(batch.epoch);
        let original = augmented(&self.augmenter, &key.view(ORIGINAL), batch, &self.device)?;
        let ask = |images: Tensor<4>, counts: &mut ForwardCounts| {
            counts.teacher += images.dims()[0] as u64;
            teacher
                .map(|teacher| teacher.forward(images))
                .ok_or(TrainError::NoTeacher)
        };
        let teacher_original = match self.original_needs_teacher {
            true => Some(ask(original.clone(), counts)?),
            false => None,
        };
        let mixed = match &self.mixed {
            Some((view, mixer)) => {
                let teacher = teacher.ok_or(TrainError::NoTeacher)?;
                let key = key.view(MIXED);
                Some(self.mixed(
                    view, mixer, &key, batch, &original, teacher, student, counts,
                )?)
            }
            None => None,
        };
        counts.student += original.dims()[0] as u64;
        counts.student += mixed.as_ref().map_or(0, |m| m.images.dims()[0] as u64);
        Ok(Views {
            labels: labels(batch, &self.device),
            original,
            teacher_original,
            mixed,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "private: the parts of one view")]
    fn mixed<S: Classify>(
        &self,
        view: &MixedView,
        mixer: &Mixer,
        key: &DrawKey,
        batch: &Batch,
        original: &Tensor<4>,
        teacher: &Teacher,
        student: &S,
        counts: &mut ForwardCounts,
    ) -> Result<MixedImages, TrainError> {
        let (ids, index) = (&batch.ids[..], batch.index as u64);
        let Some(pool) = &view.pool else {
            let [_, _, height, width] = original.dims();
            let plan = mixer.sample(key, ids, index, [height, width]);
            let images = tensor::mix(&plan, original.clone())?;
            counts.teacher += images.dims()[0] as u64;
            return Ok(MixedImages {
                teacher_logits: teacher.forward(images.clone()),
                images,
            });
        };
        let frozen = pool.criterion.needs_student().then(|| student.valid());
        let (mut asked, mut scored) = (0, 0);
        let mut score = frozen.as_ref().map(|frozen| {
            |images: Tensor<4>| {
                scored += images.dims()[0] as u64;
                frozen.forward(images)
            }
        });
        let picked = pool.draw(
            mixer,
            original.clone(),
            key,
            ids,
            index,
            |images| {
                asked += images.dims()[0] as u64;
                teacher.forward(images)
            },
            score.as_mut().map(|score| score as &mut dyn FnMut(_) -> _),
        )?;
        counts.teacher += asked;
        counts.student_scoring += scored;
        Ok(MixedImages {
            images: picked.images,
            teacher_logits: picked.teacher_logits,
        })
    }
}

/// The images of a batch after an augmentation, as pixels in `[0, 1]` on the device.
pub(crate) fn augmented(
    augmenter: &Augmenter,
    key: &DrawKey,
    batch: &Batch,
    device: &Device,
) -> Result<Tensor<4>, TrainError> {
    let images = Images::new(&batch.images, batch.shape)?;
    let plan = augmenter.sample(key, &batch.ids, batch.index as u64, images.image_shape())?;
    let mut pixels = vec![0.0; batch.images.len()];
    cpu::apply(&plan, images, &mut pixels, &Affine::unit())?;
    Ok(Tensor::from_data(
        TensorData::new(pixels, batch.shape),
        (device, DType::F32),
    ))
}

/// Planar u8 images as pixels in `[0, 1]` on the device.
pub(crate) fn pixels(
    images: &[u8],
    shape: [usize; 4],
    device: &Device,
) -> Result<Tensor<4>, TrainError> {
    let batch = Batch {
        epoch: 0,
        index: 0,
        ids: (0..shape[0] as u64).collect(),
        images: images.to_vec(),
        shape,
        labels: Vec::new(),
        soft_labels: None,
    };
    let augmenter = Augmentation::identity().build()?;
    augmented(&augmenter, &DrawKey::new(0), &batch, device)
}

/// The labels of a batch on the device.
pub(crate) fn labels(batch: &Batch, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = batch.labels.iter().map(|label| i32::from(*label)).collect();
    let count = labels.len();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}
