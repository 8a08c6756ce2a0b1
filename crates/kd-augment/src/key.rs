//! What every draw is keyed by.

use serde::{Deserialize, Serialize};

/// Names one augmentation of one data set: *(seed, epoch, view, copy)*.
///
/// Together with the sample's id and the position of the operation it names a single random stream, so that equal keys
/// give equal draws whatever the batch size, the order, the number of workers or of threads, and two different keys
/// never share a stream.
///
/// - `view`: which view of a sample this is (original, mixed, a peer's own). Give each view its own number.
/// - `copy`: which candidate of a pool; the pool counts its copies upwards from the key's own.
///
/// ```
/// use kd_augment::DrawKey;
/// let key = DrawKey::new(42).epoch(3).view(1);
/// assert_eq!(key, DrawKey { seed: 42, epoch: 3, view: 1, copy: 0 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, counted by the caller.
    #[serde(default)]
    pub epoch: u64,
    /// View of the sample.
    #[serde(default)]
    pub view: u32,
    /// Candidate in a pool.
    #[serde(default)]
    pub copy: u32,
}

impl DrawKey {
    /// The key of a seed: epoch 0, view 0, copy 0.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            epoch: 0,
            view: 0,
            copy: 0,
        }
    }

    /// The same in another epoch.
    #[must_use]
    pub const fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The same for another view.
    #[must_use]
    pub const fn view(mut self, view: u32) -> Self {
        self.view = view;
        self
    }

    /// The same for another copy.
    #[must_use]
    pub const fn copy(mut self, copy: u32) -> Self {
        self.copy = copy;
        self
    }
}
