//! Image classification data for knowledge distillation: readers that check, and a deterministic loader.
//!
//! - [`ImageSet`]: labelled images as planar bytes in memory, with class names, channel statistics and, where there are, soft labels.
//! - [`cifar10`], [`cifar100`], [`cifar10h`]: readers of the official files, which say which file and byte is wrong.
//! - [`Shapes`]: pictures drawn from a seed, for where there is nothing to read.
//! - [`Loader`]: batches in an order that is a function of (seed, epoch) alone, whatever the number of threads.
//!
//! ```
//! use kd_data::{LoaderConfig, Shapes, Split};
//!
//! let train = Shapes::render(7, Split::Train, 256);
//! println!("{} images of {:?}, mean {:?}", train.len(), train.shape(), train.statistics().mean);
//!
//! let loader = LoaderConfig::new(64).with_seed(1).with_workers(2).init(train)?;
//! for epoch in 0..2 {
//!     for batch in loader.epoch(epoch) {
//!         assert_eq!(batch.shape, [64, 3, 32, 32]);
//!     }
//! }
//! // The second half of epoch 1, as a run that was stopped there would see it.
//! assert_eq!(loader.epoch_from(1, 2).next(), loader.epoch(1).nth(2));
//! # Ok::<(), kd_data::DataError>(())
//! ```

mod cifar;
mod error;
mod fingerprint;
mod image_set;
mod loader;
mod shapes;
mod soft_labels;
mod split;
mod statistics;
mod stream;

pub use cifar::cifar100::Cifar100Labels;
pub use cifar::{cifar10, cifar10h, cifar100};
pub use error::DataError;
pub use image_set::ImageSet;
pub use loader::{Batch, Epoch, EpochLoader, Loader, LoaderConfig};
pub use shapes::{Nuisance, Shapes, ShapesConfig};
pub use split::Split;
pub use statistics::ChannelStatistics;
