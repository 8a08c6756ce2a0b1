//! Mixing one image with its partner.

use super::chain::to_float;
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
    to_float(own, shape, affine, out);
    match &plan.blend {
        Blend::Paste(boxes) => {
            for_each_run(boxes[i], shape, |channel, run| {
                affine.convert(channel, &partner[run.clone()], &mut out[run]);
            });
        }
        Blend::Linear => {
            let mut strip = [0.0; STRIP];
            let planes = partner.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
            for (channel, (partner, out)) in planes.enumerate() {
                for (partner, out) in partner.chunks(STRIP).zip(out.chunks_mut(STRIP)) {
                    let strip = &mut strip[..partner.len()];
                    affine.convert(channel, partner, strip);
                    blend(plan.lambda[i], strip, out);
                }
            }
        }
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
    out.copy_from_slice(own);
    match &plan.blend {
        Blend::Paste(boxes) => for_each_run(boxes[i], shape, |_, run| {
            out[run.clone()].copy_from_slice(&partner[run]);
        }),
        Blend::Linear => blend(plan.lambda[i], partner, out),
    }
}

/// out = lambda · out + (1 − lambda) · partner
fn blend(lambda: f32, partner: &[f32], out: &mut [f32]) {
    let rest = 1.0 - lambda;
    for (out, partner) in out.iter_mut().zip(partner) {
        *out = lambda * *out + rest * partner;
    }
}

/// Calls `work` with the channel and the elements of every row of a box.
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
