//! A whole epoch in one call.

use std::cell::Cell;

use rayon::prelude::*;

use super::apply;
use crate::affine::Affine;
use crate::augmenter::Augmenter;
use crate::error::AugmentError;
use crate::images::Images;
use crate::key::DrawKey;
use crate::plan::Plan;

/// The batches of an epoch: which images, in which order.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// For each place of the epoch the image, by its position in the set, which is its id for the draws.
    pub order: &'a [u64],
    /// Images in a batch, at least 1; the last batch may be smaller.
    pub batch_size: usize,
}

/// Augments a whole set in memory: `out`, `[order.len(), channels, height, width]`, gets the images of all batches of an epoch,
/// one after the other.
///
/// They are the same images as of [`Augmenter::sample`] and [`apply`] batch by batch, under the same key and with batches
/// counted from 0. `out` can be used again for the next epoch.
///
/// ```
/// use kd_augment::{Affine, Augmentation, DrawKey, Images, cpu};
///
/// # fn main() -> Result<(), kd_augment::AugmentError> {
/// let pixels = vec![100; 10 * 3 * 8 * 8]; // the whole set
/// let set = Images::new(&pixels, [10, 3, 8, 8])?;
/// let augmenter = Augmentation::crop_flip(1).build()?;
/// let mut out = vec![0.0; pixels.len()];
/// for epoch in 0..3 {
///     let order: Vec<u64> = (0..10).rev().collect(); // or the loader's, shuffled
///     let batches = cpu::Epoch { order: &order, batch_size: 4 };
///     let key = DrawKey::new(42).epoch(epoch);
///     cpu::epoch(&augmenter, &key, set, batches, &Affine::unit(), &mut out)?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A batch size of 0, an id that is not below the number of images, `out` or `affine` that do not fit, and what
/// [`Augmenter::sample`] refuses. Then `out` may be written in part.
pub fn epoch(
    augmenter: &Augmenter,
    key: &DrawKey,
    set: Images<'_>,
    batches: Epoch<'_>,
    affine: &Affine,
    out: &mut [f32],
) -> Result<(), AugmentError> {
    let Epoch { order, batch_size } = batches;
    crate::error::count("epoch.batch_size", batch_size, 1, usize::MAX, "at least 1")?;
    let [n, c, h, w] = set.shape();
    let shape = [c, h, w];
    let size = c * h * w;
    affine.check(c)?;
    super::check_length(out.len(), order.len().saturating_mul(size))?;
    if let Some(id) = order.iter().find(|id| **id >= n as u64) {
        return Err(AugmentError::OutOfRange {
            field: "an id of epoch.order",
            value: *id as f64,
            range: "below the number of images",
        });
    }
    if order.is_empty() {
        return Ok(());
    }
    let batch_size = batch_size.min(order.len());
    out.par_chunks_mut(batch_size * size)
        .zip(order.par_chunks(batch_size))
        .enumerate()
        .try_for_each(|(index, (out, ids))| {
            let (mut plan, mut levels) = SCRATCH.take();
            augmenter.sample_into(key, ids, index as u64, shape, &mut plan)?;
            levels.clear();
            for id in ids {
                levels.extend_from_slice(set.image(*id as usize));
            }
            let images = Images::new(&levels, [ids.len(), c, h, w])?;
            let result = apply(&plan, images, out, affine);
            SCRATCH.set((plan, levels));
            result
        })
}

thread_local! {
    /// The plan and the gathered images of a batch. Taken, not borrowed: a thread that waits may be given another batch.
    static SCRATCH: Cell<(Plan, Vec<u8>)> = Cell::default();
}
