//! What passes between the host and the device.

use burn::tensor::{Bool, Int, Tensor, TensorData};

use crate::error::AugmentError;
use crate::plan::PixelBox;

/// Numbers of the host, on the device and in the precision of `like`.
pub(super) fn floats<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    like: &Tensor<4>,
) -> Tensor<D> {
    let data = TensorData::new(values, shape);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// Positions, on the device of `like`.
pub(super) fn indices<const D: usize>(
    values: Vec<i32>,
    shape: [usize; D],
    like: &Tensor<4>,
) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, shape), &like.device())
}

/// A mask of pixels, `[n, height, width]`, for all channels of images.
pub(super) fn mask(mask: Vec<bool>, like: &Tensor<4>) -> Tensor<4, Bool> {
    let [n, _, h, w] = like.dims();
    Tensor::<4, Bool>::from_data(TensorData::new(mask, [n, 1, h, w]), &like.device())
        .expand(like.dims())
}

/// A number for each image.
pub(super) fn column(values: Vec<f32>, like: &Tensor<4>) -> Tensor<4> {
    let n = values.len();
    floats(values, [n, 1, 1, 1], like)
}

/// The levels of images that are in whole levels, one image after the other.
pub(super) fn levels(images: Tensor<4>) -> Result<Vec<u8>, AugmentError> {
    let failed = |reason: String| AugmentError::Device {
        what: "the images",
        reason,
    };
    let values = images
        .try_into_data_as::<f32>()
        .map_err(|error| failed(error.to_string()))?
        .try_into_vec::<f32>()
        .map_err(|error| failed(error.to_string()))?;
    Ok(values.into_iter().map(|level| level as u8).collect())
}

/// Marks a box in the mask of one image of `width` columns.
pub(super) fn paint<T: Copy>(mask: &mut [T], width: usize, area: PixelBox, mark: T) {
    if area.is_empty() {
        return;
    }
    for row in mask
        .chunks_exact_mut(width)
        .take(area.rows().end)
        .skip(area.rows().start)
    {
        row[area.columns()].fill(mark);
    }
}
