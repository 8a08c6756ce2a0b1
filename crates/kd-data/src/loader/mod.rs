//! Batches in an order that depends on (seed, epoch) alone.

mod batch;
mod data_loader;
mod epoch;
mod order;

pub use batch::Batch;
pub use data_loader::EpochLoader;
pub use epoch::Epoch;

use std::ops::Range;

use burn::config::Config;

use crate::{DataError, ImageSet};

/// Settings of a [`Loader`].
#[derive(Config, Debug, PartialEq)]
pub struct LoaderConfig {
    /// The number of images of a batch, at least 1.
    pub batch_size: usize,
    /// Whether every epoch has its own order; else the images come as they are in the set.
    #[config(default = true)]
    pub shuffle: bool,
    /// The seed of the orders.
    #[config(default = 0)]
    pub seed: u64,
    /// The number of threads that prepare batches ahead; with 0 they are prepared when asked for. The batches are the same.
    #[config(default = 0)]
    pub workers: usize,
    /// Whether a last batch that is not full is left out.
    #[config(default = false)]
    pub drop_last: bool,
    /// The number of batches that wait for each worker's next turn; a worker holds at most one more.
    #[config(default = 2)]
    pub prefetch: usize,
}

impl LoaderConfig {
    /// A loader of the images of `set`.
    ///
    /// # Errors
    ///
    /// When the batch size is 0.
    pub fn init(&self, set: ImageSet) -> Result<Loader, DataError> {
        if self.batch_size == 0 {
            return Err(DataError::Setting {
                setting: "batch_size",
                expected: "at least 1",
                found: "0".to_string(),
            });
        }
        Ok(Loader {
            span: 0..set.len(),
            config: self.clone(),
            set,
        })
    }
}

/// Gives the images of a set in batches.
///
/// The order of an epoch is a function of (seed, epoch) alone: it depends neither on the epochs before, nor on the number of workers, which
/// only prepare batches ahead. So a run can continue in any epoch, at any batch.
///
/// ```
/// use kd_data::{LoaderConfig, Shapes, Split};
///
/// let loader = LoaderConfig::new(32).with_seed(1).init(Shapes::render(7, Split::Train, 100))?;
/// let sizes: Vec<usize> = loader.epoch(0).map(|batch| batch.labels.len()).collect();
/// assert_eq!(sizes, [32, 32, 32, 4]);
/// # Ok::<(), kd_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    set: ImageSet,
    config: LoaderConfig,
    /// The part of every epoch's order that this loader gives.
    span: Range<usize>,
}

impl Loader {
    /// The images.
    pub fn set(&self) -> &ImageSet {
        &self.set
    }

    /// The settings.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// The number of batches of an epoch.
    pub fn batches(&self) -> usize {
        if self.config.drop_last {
            self.span.len() / self.config.batch_size
        } else {
            self.span.len().div_ceil(self.config.batch_size)
        }
    }

    /// The number of images in the batches of an epoch.
    pub fn images(&self) -> usize {
        self.span.len().min(self.batches() * self.config.batch_size)
    }

    /// The sample ids in the order of an epoch, with those of a batch that is left out.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order = if self.config.shuffle {
            order::shuffled(self.set.len(), self.config.seed, epoch)
        } else {
            (0..self.set.len()).collect()
        };
        order.truncate(self.span.end);
        order.split_off(self.span.start)
    }

    /// The batches of an epoch.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from number `first_batch` on; those before are not prepared.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        Epoch::new(self, epoch, first_batch)
    }

    /// An adapter to Burn's data loader whose first iteration is `first_epoch`.
    pub fn into_data_loader(self, first_epoch: u64) -> EpochLoader {
        EpochLoader::new(self, first_epoch)
    }
}
