//! The engine on any of Burn's devices: floats in, floats out.
//!
//! The plan becomes small index and mask tensors on the host; the images stay on the device and keep their gradients.
//! Only gather, select and masks are used, on floats, so that devices without 8-bit storage will do.
//!
//! Images are `[n, channels, height, width]`, pixels in [0, 1] being level / 255. Movements, erased and pasted boxes are
//! exact: the same bits as [`cpu`](crate::cpu). The weighted sum of a mix agrees within 10⁻⁶ (one device fuses
//! multiplication and addition, another does not), and a normalisation after it within 10⁻⁶ over the smallest std.

mod mask;

use burn::tensor::{Int, Tensor, TensorData};

use crate::affine::Affine;
use crate::error::AugmentError;
use crate::plan::{Blend, Erase, Fill, Gather, ImagePlan, MixPlan, Plan, Segment};
use mask::{column, mask_of};

/// Applies `plan` to pixels in [0, 1].
///
/// # Errors
/// Images or `affine` that do not fit the plan; a plan that cannot be applied.
pub fn apply(plan: &Plan, images: Tensor<4>, affine: &Affine) -> Result<Tensor<4>, AugmentError> {
    let [n, c, h, w] = images.dims();
    plan.check([n, c, h, w])?;
    affine.check(c)?;
    if n == 0 {
        return Ok(images);
    }
    let mut out = segments(&plan.images, images);
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
    let [n, _, h, w] = base.dims();
    plan.check([n, h, w])?;
    if n == 0 {
        return Ok(base);
    }
    Ok(mixed(plan, base))
}

/// Works through the lists of all images side by side: in turn all that move next, then all that erase next. Images whose
/// next segment is of the other kind wait, which does not change their order.
fn segments(plan: &ImagePlan, mut images: Tensor<4>) -> Tensor<4> {
    let mut lists: Vec<&[Segment]> = (0..plan.len()).map(|i| plan.image(i)).collect();
    while lists.iter().any(|list| !list.is_empty()) {
        let gathers: Vec<Option<Gather>> = lists
            .iter_mut()
            .map(|list| match list.split_first() {
                Some((Segment::Gather(gather), rest)) => {
                    *list = rest;
                    Some(*gather)
                }
                _ => None,
            })
            .collect();
        if gathers.iter().any(Option::is_some) {
            images = gathered(&gathers, images);
        }
        let erased: Vec<Vec<Erase>> = lists.iter_mut().map(take_erases).collect();
        if erased.iter().any(|boxes| !boxes.is_empty()) {
            images = painted(&erased, images);
        }
    }
    images
}

/// The next erased boxes of one fill, taken from the list.
fn take_erases(list: &mut &[Segment]) -> Vec<Erase> {
    let mut taken: Vec<Erase> = Vec::new();
    while let Some((Segment::Erase(erase), rest)) = list.split_first() {
        if taken.first().is_some_and(|first| first.fill != erase.fill) {
            break;
        }
        taken.push(*erase);
        *list = rest;
    }
    taken
}

/// Moves the pixels of the images that have a movement.
fn gathered(gathers: &[Option<Gather>], images: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = images.dims();
    let device = images.device();
    let mut indices = Vec::with_capacity(n * h * w);
    let mut outside = vec![true; n * h * w];
    for (gather, outside) in gathers.iter().zip(outside.chunks_exact_mut(h * w)) {
        let gather = gather.unwrap_or_else(|| Gather::identity(h, w));
        for y in 0..h {
            for x in 0..w {
                let has_source = gather.window.contains(x, y);
                let (sx, sy) = if has_source {
                    gather.source(x, y)
                } else {
                    (x, y)
                };
                indices.push((sy * w + sx) as i32);
                outside[y * w + x] = !has_source;
            }
        }
    }
    let any_outside = outside.contains(&true);
    let indices = Tensor::<3, Int>::from_data(TensorData::new(indices, [n, 1, h * w]), &device);
    let moved = images
        .reshape([n, c, h * w])
        .gather(2, indices.expand([n, c, h * w]))
        .reshape([n, c, h, w]);
    if any_outside {
        moved.mask_fill(mask_of(outside, [n, c, h, w], &device), 0.0)
    } else {
        moved
    }
}

/// Paints boxes over the images; the boxes of one image have one fill.
fn painted(erased: &[Vec<Erase>], images: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = images.dims();
    let device = images.device();
    let mut mask = vec![false; n * h * w];
    let mut levels = Vec::with_capacity(n * c);
    for (boxes, mask) in erased.iter().zip(mask.chunks_exact_mut(h * w)) {
        for erase in boxes {
            mask::paint(mask, w, erase.area);
        }
        let fill = boxes.first().map_or(Fill::default(), |erase| erase.fill);
        levels.extend((0..c).map(|channel| crate::affine::unit(fill.level(channel))));
    }
    let mask = mask_of(mask, [n, c, h, w], &device);
    if levels.iter().all(|level| *level == 0.0) {
        return images.mask_fill(mask, 0.0);
    }
    let levels = Tensor::<4>::from_data(TensorData::new(levels, [n, c, 1, 1]), &device);
    images.mask_where(mask, levels.expand([n, c, h, w]))
}

fn mixed(plan: &MixPlan, own: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = own.dims();
    let device = own.device();
    let indices: Vec<i32> = plan.partner.iter().map(|&partner| partner as i32).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [n]), &device);
    let partner = own.clone().select(0, indices);
    match &plan.blend {
        Blend::Linear => {
            let rest = plan.lambda.iter().map(|lambda| 1.0 - lambda).collect();
            own * column(plan.lambda.clone(), &device) + partner * column(rest, &device)
        }
        Blend::Paste(boxes) => {
            let mut mask = vec![false; n * h * w];
            for (area, mask) in boxes.iter().zip(mask.chunks_exact_mut(h * w)) {
                mask::paint(mask, w, *area);
            }
            own.mask_where(mask_of(mask, [n, c, h, w], &device), partner)
        }
        Blend::Mask(masks) => {
            let pixels = h * w;
            let mask = (0..n * pixels).map(|k| masks.is_foreign(k / pixels, k % pixels));
            own.mask_where(mask_of(mask.collect(), [n, c, h, w], &device), partner)
        }
    }
}

fn normalised(images: Tensor<4>, affine: &Affine) -> Tensor<4> {
    let Some(lines) = affine.lines() else {
        return images;
    };
    let device = images.device();
    let row = |values: Vec<f32>| {
        Tensor::<4>::from_data(TensorData::new(values, [1, lines.len(), 1, 1]), &device)
    };
    images * row(lines.iter().map(|line| line.scale).collect())
        + row(lines.iter().map(|line| line.bias).collect())
}
