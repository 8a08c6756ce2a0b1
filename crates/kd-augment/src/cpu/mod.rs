//! The engine on the CPU: u8 in, f32 out.
//!
//! One image goes through its whole list of segments, in u8, then the next; a 32×32 image stays in the first-level cache
//! all the way. Mixing and the final map to floats happen in one pass at the end. Images are spread over rayon's threads;
//! no value depends on another thread, so the result is the same bits for any number of them.
//!
//! Exact: movements and erased boxes are integer work, and a level becomes a float as [`Affine`] says. Of a mix, pasting is
//! exact and the weighted sum is rounded three times in f32.

mod chain;
mod gather;
mod mix;

use rayon::prelude::*;

use crate::affine::Affine;
use crate::error::AugmentError;
use crate::images::{Images, elements};
use crate::plan::{MixPlan, Plan};
use chain::Chain;

/// Images a task treats at least, so that tasks outweigh their scheduling.
const IMAGES_PER_TASK: usize = 8;

/// Applies `plan` and writes floats, `[n, channels, height, width]`, to `out`.
///
/// # Errors
/// Images, `out` or `affine` that do not fit the plan; a plan that cannot be applied. Then `out` is as it was.
pub fn apply(
    plan: &Plan,
    images: Images<'_>,
    out: &mut [f32],
    affine: &Affine,
) -> Result<(), AugmentError> {
    plan.check(images.shape())?;
    affine.check(images.shape()[1])?;
    check_length(out.len(), images.pixels().len())?;
    let shape = images.image_shape();
    let Some(mix) = &plan.mix else {
        for_each_image(shape, out, |chain, i, out| {
            chain::to_float(
                chain.run(images.image(i), plan.images.image(i)),
                shape,
                affine,
                out,
            );
        });
        return Ok(());
    };
    // A partner needs its own chain first: do all chains, once, in u8.
    let augmented: Vec<u8>;
    let base = if plan.images.is_identity() {
        images
    } else {
        let mut pixels = vec![0; images.pixels().len()];
        run_chains(plan, images, &mut pixels);
        augmented = pixels;
        Images::new(&augmented, images.shape())?
    };
    for_each_image(shape, out, |_, i, out| {
        mix::levels(
            mix,
            i,
            base.image(i),
            base.image(mix.partner[i]),
            shape,
            affine,
            out,
        );
    });
    Ok(())
}

/// Applies a plan without a mix and writes u8 pixels to `out`.
///
/// # Errors
/// As [`apply`]; and [`AugmentError::MixNeedsFloat`].
pub fn apply_u8(plan: &Plan, images: Images<'_>, out: &mut [u8]) -> Result<(), AugmentError> {
    plan.check(images.shape())?;
    if plan.mix.is_some() {
        return Err(AugmentError::MixNeedsFloat);
    }
    check_length(out.len(), images.pixels().len())?;
    run_chains(plan, images, out);
    Ok(())
}

/// Mixes images that are floats already: `base` and `out` are `[n, channels, height, width]`, `shape` is
/// `[channels, height, width]`.
///
/// # Errors
/// Slices that do not fit `plan` and `shape`; a plan that cannot be applied. Then `out` is as it was.
pub fn mix(
    plan: &MixPlan,
    base: &[f32],
    shape: [usize; 3],
    out: &mut [f32],
) -> Result<(), AugmentError> {
    let [_, h, w] = shape;
    let size = elements(shape)?;
    plan.check([plan.len(), h, w])?;
    if base.len() / size != plan.len() || !base.len().is_multiple_of(size) {
        let expected = plan.len().saturating_mul(size);
        return Err(AugmentError::Length {
            what: "base",
            expected,
            found: base.len(),
        });
    }
    check_length(out.len(), base.len())?;
    for_each_image(shape, out, |_, i, out| {
        let image = |i: usize| &base[i * size..][..size];
        mix::floats(plan, i, image(i), image(plan.partner[i]), shape, out);
    });
    Ok(())
}

fn check_length(found: usize, expected: usize) -> Result<(), AugmentError> {
    match found == expected {
        true => Ok(()),
        false => Err(AugmentError::Length {
            what: "out",
            expected,
            found,
        }),
    }
}

/// Runs the chain of every image, u8 to u8.
fn run_chains(plan: &Plan, images: Images<'_>, out: &mut [u8]) {
    for_each_image(images.image_shape(), out, |chain, i, out| {
        out.copy_from_slice(chain.run(images.image(i), plan.images.image(i)));
    });
}

/// Calls `work` for each image of `out` with its position and scratch space, on all threads.
fn for_each_image<T: Send>(
    shape: [usize; 3],
    out: &mut [T],
    work: impl Fn(&mut Chain, usize, &mut [T]) + Sync,
) {
    out.par_chunks_exact_mut(shape.iter().product())
        .with_min_len(IMAGES_PER_TASK)
        .enumerate()
        .for_each_init(|| Chain::new(shape), |chain, (i, out)| work(chain, i, out));
}
