use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use super::{Batch, Epoch, Loader};

/// A [`Loader`] as Burn's [`DataLoader`], for use with Burn's own training loop.
///
/// Burn's trait knows no epochs: each call of `iter` gives the next one. Batches are host data, so the device plays no part. A
/// [`slice`](DataLoader::slice) gives the same stretch of every epoch's order, with the ids of the whole set, so that the slices of one loader
/// together show every image once an epoch. Slices and copies count their epochs themselves, from where this one stands.
#[derive(Debug)]
pub struct EpochLoader {
    loader: Loader,
    next_epoch: AtomicU64,
}

impl EpochLoader {
    pub(super) fn new(loader: Loader, first_epoch: u64) -> Self {
        Self {
            loader,
            next_epoch: AtomicU64::new(first_epoch),
        }
    }

    fn with(&self, loader: Loader) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self::new(loader, self.next_epoch.load(Ordering::Relaxed)))
    }
}

impl DataLoader<Batch> for EpochLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::Relaxed);
        Box::new(EpochIterator {
            epoch: self.loader.epoch(epoch),
            given: 0,
            total: self.loader.images(),
        })
    }

    fn num_items(&self) -> usize {
        self.loader.images()
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.with(self.loader.clone())
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let span = &self.loader.span;
        let end = span.end.min(span.start + end);
        let start = end.min(span.start + start);
        self.with(Loader {
            span: start..end,
            ..self.loader.clone()
        })
    }
}

struct EpochIterator {
    epoch: Epoch,
    given: usize,
    total: usize,
}

impl Iterator for EpochIterator {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.epoch.next()?;
        self.given += batch.len();
        Some(Ok(batch))
    }
}

impl DataLoaderIterator<Batch> for EpochIterator {
    fn progress(&self) -> Progress {
        Progress::new(self.given, self.total, Some("items".to_string()))
    }
}
