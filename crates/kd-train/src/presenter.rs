use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_augment::{Affine, Augmentation, Augmenter, DrawKey, Images, Mixer, Plan, cpu, tensor};
use kd_data::Batch;
use kd_models::Classify;

use crate::TrainError;
use crate::log::ForwardCounts;
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
    original_weighs: bool,
    original_needs_teacher: bool,
    /// Without autodiff.
    device: Device,
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
            original_weighs: weights.ce > 0.0 || weights.kl > 0.0,
            original_needs_teacher: weights.kl > 0.0,
            device: device.clone().inner(),
        })
    }

    /// The views of one batch, and what they cost. The student is only asked where a criterion wants its opinion, and then
    /// without autodiff and with its statistics at rest.
    pub(crate) fn views<S: Classify>(
        &self,
        batch: &Batch,
        teacher: Option<&Teacher>,
        student: &S,
    ) -> Result<(Views, ForwardCounts), TrainError> {
        let images = batch.labels.len() as u64;
        let mut counts = ForwardCounts::default();
        let key = DrawKey::new(self.seed).epoch(batch.epoch);
        let original = augmented(
            &self.augmenter,
            &key.view(ORIGINAL),
            batch,
            &batch.images,
            &self.device,
        )?;
        if self.original_weighs {
            counts.student_images += images;
        }
        let teacher_original = match self.original_needs_teacher {
            true => {
                counts.teacher_images += images;
                let teacher = teacher.ok_or(TrainError::NoTeacher)?;
                Some(teacher.forward(original.clone()))
            }
            false => None,
        };
        let mixed = match &self.mixed {
            Some((view, mixer)) => {
                let mix = MixedBatch {
                    view,
                    mixer,
                    key: key.view(MIXED),
                    batch,
                    original: &original,
                };
                let teacher = teacher.ok_or(TrainError::NoTeacher)?;
                let mixed = mix.images(teacher, student, &mut counts)?;
                counts.student_images += mixed.images.dims()[0] as u64;
                Some(mixed)
            }
            None => None,
        };
        let views = Views {
            labels: labels(&batch.labels, &self.device),
            original,
            teacher_original,
            mixed,
        };
        Ok((views, counts))
    }
}

/// What the mixed view of a batch is made from.
struct MixedBatch<'a> {
    view: &'a MixedView,
    mixer: &'a Mixer,
    key: DrawKey,
    batch: &'a Batch,
    original: &'a Tensor<4>,
}

impl MixedBatch<'_> {
    fn images<S: Classify>(
        &self,
        teacher: &Teacher,
        student: &S,
        counts: &mut ForwardCounts,
    ) -> Result<MixedImages, TrainError> {
        let (ids, index) = (&self.batch.ids[..], self.batch.index as u64);
        let Some(pool) = &self.view.pool else {
            let [_, _, height, width] = self.original.dims();
            let plan = self.mixer.sample(&self.key, ids, index, [height, width])?;
            let images = tensor::mix(&plan, self.original.clone())?;
            counts.teacher_images += images.dims()[0] as u64;
            return Ok(MixedImages {
                teacher_logits: teacher.forward(images.clone()),
                images,
                score_ratio: None,
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
            self.mixer,
            self.original.clone(),
            &self.key,
            ids,
            index,
            |images| {
                asked += images.dims()[0] as u64;
                teacher.forward(images)
            },
            score.as_mut().map(|score| score as &mut dyn FnMut(_) -> _),
        )?;
        counts.teacher_images += asked;
        counts.student_scored_images += scored;
        Ok(MixedImages {
            images: picked.images,
            teacher_logits: picked.teacher_logits,
            score_ratio: Some(picked.score_ratio),
        })
    }
}

/// Images after an augmentation, as pixels in `[0, 1]` on the device. `pixels` are those of the batch, or stand for them.
pub(crate) fn augmented(
    augmenter: &Augmenter,
    key: &DrawKey,
    batch: &Batch,
    pixels: &[u8],
    device: &Device,
) -> Result<Tensor<4>, TrainError> {
    let images = Images::new(pixels, batch.shape)?;
    let plan = augmenter.sample(key, &batch.ids, batch.index as u64, images.image_shape())?;
    on_device(&plan, images, device)
}

/// Planar u8 images as pixels in `[0, 1]` on the device.
pub(crate) fn plain(
    pixels: &[u8],
    shape: [usize; 4],
    device: &Device,
) -> Result<Tensor<4>, TrainError> {
    let images = Images::new(pixels, shape)?;
    let ids: Vec<u64> = (0..shape[0] as u64).collect();
    let identity = Augmentation::identity();
    let plan = identity.sample(&DrawKey::new(0), &ids, 0, images.image_shape())?;
    on_device(&plan, images, device)
}

fn on_device(plan: &Plan, images: Images, device: &Device) -> Result<Tensor<4>, TrainError> {
    let mut out = vec![0.0; images.pixels().len()];
    cpu::apply(plan, images, &mut out, &Affine::unit())?;
    let data = TensorData::new(out, images.shape());
    Ok(Tensor::from_data(data, (device, DType::F32)))
}

/// A batch after an augmentation without a mix, as planar bytes.
pub(crate) fn augmented_bytes(
    augmenter: &Augmenter,
    key: &DrawKey,
    batch: &Batch,
) -> Result<Vec<u8>, TrainError> {
    let images = Images::new(&batch.images, batch.shape)?;
    let plan = augmenter.sample(key, &batch.ids, batch.index as u64, images.image_shape())?;
    let mut pixels = vec![0; batch.images.len()];
    cpu::apply_u8(&plan, images, &mut pixels)?;
    Ok(pixels)
}

/// Labels on the device.
pub(crate) fn labels(labels: &[u16], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = labels.iter().map(|label| i32::from(*label)).collect();
    let count = labels.len();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}

/// Rows of one value a class on the device.
pub(crate) fn rows(values: &[f32], classes: usize, device: &Device) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / classes, classes]);
    Tensor::from_data(data, (device, DType::F32))
}

/// Labels of mixed images, each the positions in the batch of the image itself and of the other, and the share of the first: that share
/// of its own class and the rest of the other's, row by row.
pub(crate) fn mixed_labels(
    mixed: &[(usize, usize, f32)],
    labels: &[u16],
    classes: usize,
) -> Vec<f32> {
    let mut rows = vec![0.0; mixed.len() * classes];
    for (row, &(own, partner, lambda)) in rows.chunks_mut(classes).zip(mixed) {
        row[usize::from(labels[own])] += lambda;
        row[usize::from(labels[partner])] += 1.0 - lambda;
    }
    rows
}
