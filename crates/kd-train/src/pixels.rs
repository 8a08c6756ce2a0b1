//! Images and labels of batches, on the host and on the device.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_augment::{Affine, Augmentation, Augmenter, DrawKey, Images, Plan, cpu};
use kd_data::Batch;

use crate::TrainError;
use crate::mixing::Share;

/// Images after an augmentation, as pixels in `[0, 1]` on the device. `pixels` are those of the
/// batch, or stand for them.
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

/// One row for each label, with 1 at the label.
pub(crate) fn one_hot(labels: &[u16], classes: usize) -> Vec<f32> {
    let mut rows = vec![0.0; labels.len() * classes];
    for (row, label) in rows.chunks_mut(classes).zip(labels) {
        row[usize::from(*label)] = 1.0;
    }
    rows
}

/// The labels of mixed images, row by row. `labels` has a row for each image of the batch.
pub(crate) fn mixed_labels(shares: &[Share], labels: &[f32], classes: usize) -> Vec<f32> {
    let row = |image: usize| &labels[image * classes..][..classes];
    let mix = |&(own, partner, lambda): &Share| {
        let pairs = row(own).iter().zip(row(partner));
        pairs.map(move |(own, partner)| lambda * own + (1.0 - lambda) * partner)
    };
    shares.iter().flat_map(mix).collect()
}
