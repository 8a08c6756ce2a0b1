//! Winograd's minimal filtering F(2×2, 3×3) for 3×3 kernels of stride 1 (Winograd 1980; Lavin & Gray, *Fast Algorithms for
//! Convolutional Neural Networks*, 2015): sixteen multiplications for four outputs instead of thirty-six.
//!
//! A 4×4 patch d of the input, a kernel g and a 2×2 patch y of the output are related by `y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`. At each
//! of the sixteen places the products over channels are a matrix product over patches. The gradient of the weights is
//! `Gᵀ [Σ over patches of (Bᵀ d B) ⊗ (A ∂y Aᵀ)] G`: sixteen matrix products once more.
//!
//! All factors are ±1 and ½, so the result differs from the direct sum by rounding alone, of about three times its size.

mod pass;
mod transforms;
mod weights;

pub(crate) use pass::{Pass, WeightPass};
pub(crate) use transforms::{
    Outputs, OutputsFn, Product, ProductFn, Transform, TransformFn, product, transform_gradient,
    transform_input, transform_output,
};
pub(crate) use weights::{
    gradient_floats, group_floats, pack_backward, pack_forward, unpack_gradient,
};

use super::geometry::Geometry;
use super::vector::LANES;

/// Places of a transformed patch.
pub(crate) const PLACES: usize = 16;

/// Channels below which the transforms cost what the products save.
const CHANNELS: usize = 32;

/// Whether a convolution is done this way.
pub(crate) fn applies(g: &Geometry) -> bool {
    let [input, output] = g.group_channels();
    g.kernel == [3, 3]
        && g.stride == [1, 1]
        && g.dilation == [1, 1]
        && input.min(output) >= CHANNELS
        && g.output.iter().chain(&g.input).all(|&size| size >= 2)
        && g.padding.iter().all(|&padding| padding <= 2)
}

/// A 2×2 patch of the output.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    /// Of the 4×4 patch of the input, in floats from the scratch.
    pub(crate) input: usize,
    /// Of the first pixel, in floats from the output.
    pub(crate) output: usize,
    /// How many rows and columns of it exist.
    pub(crate) rows: u8,
    pub(crate) columns: u8,
}

/// All patches of a grid of `height` rows and `width` columns, where `input(row)` and `output(row)` say where a row begins; pixels of
/// the output lie `pixel` floats apart.
pub(crate) fn spots(
    spots: &mut Vec<Spot>,
    [height, width]: [usize; 2],
    pixel: usize,
    input: impl Fn(usize) -> usize,
    output: impl Fn(usize) -> usize,
) {
    for y in (0..height).step_by(2) {
        for x in (0..width).step_by(2) {
            spots.push(Spot {
                input: input(y) + x * LANES,
                output: output(y) + x * pixel,
                rows: (height - y).min(2) as u8,
                columns: (width - x).min(2) as u8,
            });
        }
    }
}
