//! The engine on any of Burn's devices: floats in, floats out.
//!
//! The plan becomes small tensors of indices, masks and tables on the host; the images stay on the device. Only operations
//! on floats, integers and masks are used, so that devices without 8-bit storage will do.
//!
//! Images are `[n, channels, height, width]`, pixels in [0, 1] being level / 255. A plan that only moves, erases and mixes
//! treats the floats as they are, and gradients flow through it. Any other segment works on levels: the pixels of the whole
//! batch are clamped to [0, 1] and rounded to levels once, every segment ends in whole levels, and at the end they are level / 255 again. No
//! gradient passes.
//!
//! # Agreement
//!
//! With the pixels of [`cpu`](crate::cpu), on the same plan:
//!
//! | segment | agreement | where it is computed |
//! |---|---|---|
//! | `Gather`, `Shift`, `Erase`, nearest `Warp` and `Resize` | exact | indices on the host, one look-up for several steps |
//! | bilinear `Warp` | within 1 level | places in f64 on the host, sums in f32 |
//! | bilinear `Resize` | exact | products of matrices, of whole numbers that f32 holds |
//! | `Point` | exact | tables on the host, one look-up for several steps |
//! | `Adapt` | exact | tables on the host, from the levels, which it reads: *waits for the device* |
//! | `Color`, `Grayscale`, `Sharpness` | exact | whole numbers in f32, products from a table |
//! | `Hue` | exact | on the host, which reads the levels: *waits for the device* |
//! | `Blur` | within 1 level | products of matrices in f32 |
//! | `Noise` | exact | drawn on the host, added on the device |
//!
//! Exact steps owe nothing to the device: no rounding depends on the order of a sum or on whether multiplication and addition
//! are fused. Where a step is within 1 level, a later one can widen the difference: equalizing
//! may pull two neighbouring levels far apart.
//!
//! Of a mix, pasting is exact. Its weighted sum agrees within 10⁻⁶ (one device fuses multiplication and addition, another
//! does not), and a normalisation after it within 10⁻⁶ over the smallest std.
//!
//! Steps are done in rounds, one kind at a time for all images that have it next; each costs a few launches, however many
//! images there are.

mod colour;
mod filter;
mod host;
mod lookup;
mod movement;
mod noise;
mod resize;
mod rounds;
mod warp;

use burn::tensor::Tensor;

use crate::affine::Affine;
use crate::error::AugmentError;
use crate::images::elements;
use crate::plan::{Blend, MixPlan, Plan};

/// Applies `plan` to pixels in [0, 1].
///
/// # Errors
/// Images or `affine` that do not fit the plan; a plan that cannot be applied; [`AugmentError::Device`] if a segment reads
/// pixels and the device fails to give them.
///
/// # Panics
/// Where the platform cannot wait for its device, as in a browser, segments that read pixels panic.
pub fn apply(plan: &Plan, images: Tensor<4>, affine: &Affine) -> Result<Tensor<4>, AugmentError> {
    let [n, c, h, w] = images.dims();
    plan.check([n, c, h, w])?;
    affine.check(c)?;
    if n == 0 {
        return Ok(images);
    }
    let mut out = rounds::segments(&plan.images, images)?;
    if let Some(plan) = &plan.mix {
        out = mixed(plan, out);
    }
    Ok(normalised(out, affine))
}

/// Mixes images of any scale.
///
/// # Errors
/// Images that do not fit the plan; a plan that cannot be applied.
pub fn mix(plan: &MixPlan, base: Tensor<4>) -> Result<Tensor<4>, AugmentError> {
    let [n, c, h, w] = base.dims();
    plan.check([n, h, w])?;
    if n == 0 {
        return Ok(base);
    }
    elements([c, h, w])?;
    Ok(mixed(plan, base))
}

fn mixed(plan: &MixPlan, own: Tensor<4>) -> Tensor<4> {
    let [n, _, h, w] = own.dims();
    let partner = plan.partner.iter().map(|&partner| partner as i32).collect();
    let partner = own.clone().select(0, host::indices(partner, [n], &own));
    match &plan.blend {
        Blend::Linear => {
            let rest = plan.lambda.iter().map(|lambda| 1.0 - lambda).collect();
            let (lambda, rest) = (
                host::column(plan.lambda.clone(), &own),
                host::column(rest, &own),
            );
            own * lambda + partner * rest
        }
        Blend::Paste(boxes) => {
            let mut mask = vec![false; n * h * w];
            for (area, mask) in boxes.iter().zip(mask.chunks_exact_mut(h * w)) {
                host::paint(mask, w, *area, true);
            }
            let mask = host::mask(mask, &own);
            own.mask_where(mask, partner)
        }
        Blend::Mask(masks) => {
            let pixels = h * w;
            let mask = (0..n * pixels).map(|k| masks.is_foreign(k / pixels, k % pixels));
            let mask = host::mask(mask.collect(), &own);
            own.mask_where(mask, partner)
        }
    }
}

fn normalised(images: Tensor<4>, affine: &Affine) -> Tensor<4> {
    let Some(lines) = affine.lines() else {
        return images;
    };
    let row = |values: Vec<f32>| host::floats(values, [1, lines.len(), 1, 1], &images);
    let scale = row(lines.iter().map(|line| line.scale).collect());
    let bias = row(lines.iter().map(|line| line.bias).collect());
    images * scale + bias
}
