//! The engine on the CPU: u8 in, f32 out.
//!
//! One image goes through its whole list of segments, in u8, then the next; a 32×32 image stays in the first-level cache
//! all the way. Mixing and the final map to floats happen in one pass at the end. Images are spread over rayon's threads;
//! no value depends on another thread, so the result is the same bits for any number of them.
//!
//! Every step is exact, which here means Pillow's pixels bit for bit, except bilinear rotations and shears, whose sine and tangent
//! are the platform's, and the Gaussian blur: both are within 1 level. A level becomes a float as [`Affine`] says. Of a mix, pasting is exact and the weighted sum is rounded three
//! times in f32.
//!
//! Memory is taken once for each thread and kept: in the steady state nothing is allocated.

mod chain;
mod colour;
mod epoch;
mod filter;
mod isa;
mod lookup;
mod mix;
mod noise;
mod resize;
mod rows;
mod stream;
mod warp;

use std::cell::{Cell, RefCell};

use rayon::prelude::*;

use crate::affine::Affine;
use crate::error::AugmentError;
use crate::images::{Images, elements};
use crate::plan::{ImagePlan, MixPlan, Plan};
use chain::Chain;
use rows::Target;

pub(crate) use chain::tables;
pub(crate) use colour::hue;
pub use epoch::{Epoch, epoch};
pub(crate) use warp::nearest_source;

/// Bytes of floats that no cache keeps until they are read.
const LARGE: usize = 16 << 20;

/// Bytes of images that a task treats at least, so that tasks outweigh their scheduling.
const BYTES_PER_TASK: usize = 48 * 1024;

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
        let past_cache = size_of_val(out) >= LARGE;
        let to = Target { affine, past_cache };
        for_each_image(shape, out, |chain, i, out| {
            chain.floats(shape, images.image(i), plan.images.image(i), to, out);
        });
        return Ok(());
    };
    if plan.images.is_identity() {
        mix_levels(mix, images, affine, out);
        return Ok(());
    }
    // A partner needs its own chain first: do all chains, once, in u8.
    with_levels(images.pixels().len(), |levels| {
        run_chains(&plan.images, images, levels);
        mix_levels(mix, Images::new(levels, images.shape())?, affine, out);
        Ok(())
    })
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
    run_chains(&plan.images, images, out);
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

/// Mixes images that went through their chains.
fn mix_levels(plan: &MixPlan, base: Images<'_>, affine: &Affine, out: &mut [f32]) {
    let shape = base.image_shape();
    for_each_image(shape, out, |_, i, out| {
        let (own, partner) = (base.image(i), base.image(plan.partner[i]));
        mix::levels(plan, i, own, partner, shape, affine, out);
    });
}

/// Runs the chain of every image, u8 to u8.
fn run_chains(plan: &ImagePlan, images: Images<'_>, out: &mut [u8]) {
    let shape = images.image_shape();
    for_each_image(shape, out, |chain, i, out| {
        chain.levels(shape, images.image(i), plan.image(i), out);
    });
}

thread_local! {
    static CHAIN: RefCell<Chain> = RefCell::default();
    static LEVELS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls `work` with this thread's memory for the levels of a batch.
fn with_levels<T>(length: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    // Taken, not borrowed: while this thread waits for others it may be given another batch.
    let mut levels = LEVELS.take();
    levels.resize(length, 0);
    let result = work(&mut levels);
    LEVELS.set(levels);
    result
}

/// Calls `work` for each image of `out` with its position and scratch space, on all threads.
fn for_each_image<T: Send>(
    shape: [usize; 3],
    out: &mut [T],
    work: impl Fn(&mut Chain, usize, &mut [T]) + Sync,
) {
    let size: usize = shape.iter().product();
    let at_least = BYTES_PER_TASK.div_ceil(size);
    let task = |(i, out): (usize, &mut [T])| {
        // Tasks hold it while they work on one image, in which they start no other task.
        CHAIN.with_borrow_mut(|chain| work(chain, i, out));
    };
    if out.len() / size <= at_least || rayon::current_num_threads() == 1 {
        out.chunks_exact_mut(size).enumerate().for_each(task);
    } else {
        out.par_chunks_exact_mut(size)
            .with_min_len(at_least)
            .enumerate()
            .for_each(task);
    }
}
