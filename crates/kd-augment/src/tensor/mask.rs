//! Small tensors that a plan becomes.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::plan::PixelBox;

/// Marks a box in the mask of one image of `width` columns.
pub(super) fn paint(mask: &mut [bool], width: usize, area: PixelBox) {
    if area.is_empty() {
        return;
    }
    for row in mask
        .chunks_exact_mut(width)
        .take(area.rows().end)
        .skip(area.rows().start)
    {
        row[area.columns()].fill(true);
    }
}

/// A mask of pixels, `[n, height, width]`, for all channels of images.
pub(super) fn mask_of(mask: Vec<bool>, shape: [usize; 4], device: &Device) -> Tensor<4, Bool> {
    let [n, _, h, w] = shape;
    Tensor::<4, Bool>::from_data(TensorData::new(mask, [n, 1, h, w]), device).expand(shape)
}

/// A number for each image.
pub(super) fn column(values: Vec<f32>, device: &Device) -> Tensor<4> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n, 1, 1, 1]), device)
}
