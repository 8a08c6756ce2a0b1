//! Mixing one image with its partner.

use super::isa::vectorized;
use super::rows::{Target, convert};
use crate::affine::Affine;
use crate::plan::{Blend, MixPlan, PixelBox};

/// Floats of a partner that are converted at a time.
const STRIP: usize = 1024;

/// Image `i` of `plan`, from u8 levels. The same bits as converting both images and mixing the floats.
pub(super) fn levels(
    plan: &MixPlan,
    i: usize,
    own: &[u8],
    partner: &[u8],
    shape: [usize; 3],
    affine: &Affine,
    out: &mut [f32],
) {
    let [_, h, w] = shape;
    // Read again below: not past the cache.
    let past_cache = false;
    convert(own, shape, Target { affine, past_cache }, out);
    match &plan.blend {
        Blend::Paste(boxes) => paste_levels(boxes[i], partner, shape, affine, out),
        Blend::Mask(masks) => {
            let planes = partner.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
            for (channel, (partner, out)) in planes.enumerate() {
                for run in masks.foreign_runs(i, h * w) {
                    affine.convert(channel, &partner[run.clone()], &mut out[run]);
                }
            }
        }
        Blend::Linear => blend_levels(plan.lambda[i], partner, shape, affine, out),
    }
}

/// Image `i` of `plan`, from floats.
pub(super) fn floats(
    plan: &MixPlan,
    i: usize,
    own: &[f32],
    partner: &[f32],
    shape: [usize; 3],
    out: &mut [f32],
) {
    let [_, h, w] = shape;
    match &plan.blend {
        Blend::Paste(boxes) => {
            out.copy_from_slice(own);
            for_each_run(boxes[i], shape, |_, run| {
                out[run.clone()].copy_from_slice(&partner[run]);
            });
        }
        Blend::Mask(masks) => {
            out.copy_from_slice(own);
            let planes = partner.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
            for (partner, out) in planes {
                for run in masks.foreign_runs(i, h * w) {
                    out[run.clone()].copy_from_slice(&partner[run]);
                }
            }
        }
        Blend::Linear => blend_floats(plan.lambda[i], own, partner, out),
    }
}

vectorized! {
    fn paste_levels(area: PixelBox, partner: &[u8], shape: [usize; 3], affine: &Affine, out: &mut [f32]) {
        for_each_run(area, shape, |channel, run| {
            affine.convert(channel, &partner[run.clone()], &mut out[run]);
        });
    }
}

vectorized! {
    fn blend_levels(lambda: f32, partner: &[u8], shape: [usize; 3], affine: &Affine, out: &mut [f32]) {
        let [_, h, w] = shape;
        let mut strip = [0.0; STRIP];
        let planes = partner.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
        for (channel, (partner, out)) in planes.enumerate() {
            for (partner, out) in partner.chunks(STRIP).zip(out.chunks_mut(STRIP)) {
                let strip = &mut strip[..partner.len()];
                affine.convert(channel, partner, strip);
                let rest = 1.0 - lambda;
                for (out, partner) in out.iter_mut().zip(strip.iter()) {
                    *out = lambda * *out + rest * partner;
                }
            }
        }
    }
}

vectorized! {
    /// out = lambda · own + (1 − lambda) · partner
    fn blend_floats(lambda: f32, own: &[f32], partner: &[f32], out: &mut [f32]) {
        let rest = 1.0 - lambda;
        for ((out, own), partner) in out.iter_mut().zip(own).zip(partner) {
            *out = lambda * own + rest * partner;
        }
    }
}

/// Calls `work` with the channel and the elements of every row of a box.
#[inline(always)]
fn for_each_run(
    area: PixelBox,
    [c, h, w]: [usize; 3],
    mut work: impl FnMut(usize, core::ops::Range<usize>),
) {
    if area.is_empty() {
        return;
    }
    for channel in 0..c {
        for y in area.rows() {
            let row = (channel * h + y) * w;
            work(
                channel,
                row + area.columns().start..row + area.columns().end,
            );
        }
    }
}
