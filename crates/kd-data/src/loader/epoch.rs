use std::iter::FusedIterator;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Batch, Loader};
use crate::ImageSet;

/// The batches of one epoch, in order.
///
/// Batch *i* is prepared by worker *i* mod *workers*, each of which has its own bounded queue, so batches arrive in order and memory stays bounded.
/// Where a thread cannot be started, its batches are prepared here. Dropping the iterator ends its threads before it returns.
#[derive(Debug)]
pub struct Epoch {
    plan: Arc<Plan>,
    workers: Vec<Option<Worker>>,
    next: usize,
}

/// Everything that a batch depends on.
#[derive(Debug)]
struct Plan {
    set: ImageSet,
    epoch: u64,
    order: Vec<usize>,
    batch_size: usize,
    batches: usize,
}

/// A thread that prepares batches, and the queue that it fills.
#[derive(Debug)]
struct Worker {
    queue: Option<Receiver<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Epoch {
    pub(super) fn new(loader: &Loader, epoch: u64, first: usize) -> Self {
        let config = &loader.config;
        let plan = Arc::new(Plan {
            set: loader.set.clone(),
            epoch,
            order: loader.order(epoch),
            batch_size: config.batch_size,
            batches: loader.batches(),
        });
        // Batch `index` belongs to lane `index % count`, so the lane of a worker that starts late is still its own.
        let count = config.workers.min(plan.batches.saturating_sub(first));
        let workers = (0..count)
            .map(|lane| {
                let start = first + (lane + count - first % count) % count;
                Worker::start(Arc::clone(&plan), start, count, config.prefetch)
            })
            .collect();
        Self {
            plan,
            workers,
            next: first,
        }
    }
}

impl Iterator for Epoch {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let index = self.next;
        if index >= self.plan.batches {
            return None;
        }
        self.next += 1;
        let lane = index.checked_rem(self.workers.len());
        let worker = lane.and_then(|lane| self.workers[lane].as_ref());
        let prepared = worker.and_then(Worker::receive);
        Some(prepared.unwrap_or_else(|| self.plan.batch(index)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.batches.saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Epoch {}
impl FusedIterator for Epoch {}

impl Plan {
    fn batch(&self, index: usize) -> Batch {
        let start = index * self.batch_size;
        let end = self.order.len().min(start + self.batch_size);
        Batch::gather(&self.set, self.epoch, index, &self.order[start..end])
    }
}

impl Worker {
    /// Prepares batches `first`, `first + step`, … in a thread of its own; `None` when none can be started.
    fn start(plan: Arc<Plan>, first: usize, step: usize, prefetch: usize) -> Option<Self> {
        let (sender, queue) = sync_channel(prefetch);
        let work = move || {
            for index in (first..plan.batches).step_by(step) {
                if sender.send(plan.batch(index)).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new()
            .name("kd-data".to_string())
            .spawn(work)
            .ok()?;
        Some(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    fn receive(&self) -> Option<Batch> {
        self.queue.as_ref()?.recv().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without its receiver the thread's next send fails, which ends it.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // An `Err` is a panic of the thread, which the panic hook has reported.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::{LoaderConfig, Shapes, Split};

    fn loader(workers: usize, prefetch: usize) -> Loader {
        let set = Shapes::render(1, Split::Train, 103);
        let config = LoaderConfig::new(4)
            .with_workers(workers)
            .with_prefetch(prefetch);
        config.init(set).unwrap()
    }

    #[test]
    fn an_epoch_can_move_to_another_thread() {
        fn check<T: Send>(_: &T) {}
        check(&loader(0, 0).epoch(0));
    }

    #[test]
    fn dropping_in_mid_epoch_ends_the_threads() {
        for prefetch in [0, 1, 5] {
            let mut epoch = loader(3, prefetch).epoch(0);
            let plan = Arc::downgrade(&epoch.plan);
            epoch.next().unwrap();
            epoch.next().unwrap();
            assert!(
                plan.strong_count() > 1,
                "threads hold the plan while they run"
            );
            drop(epoch);
            // Each thread owns the plan until it ends.
            assert_eq!(plan.strong_count(), 0);
        }
    }

    #[test]
    fn queues_are_bounded() {
        let mut epoch = loader(1, 2).epoch(0);
        // Enough for one thread to copy all 26 batches of 12 KB, were it not held back.
        std::thread::sleep(Duration::from_millis(100));
        let worker = epoch.workers[0].as_ref().unwrap();
        let waiting = worker.queue.as_ref().unwrap().try_iter().take(4).count();
        assert!((2..=4).contains(&waiting), "{waiting}");
        let running = worker.thread.as_ref().unwrap();
        assert!(!running.is_finished());
        assert_eq!(epoch.next().unwrap().epoch, 0);
    }

    #[test]
    fn a_worker_that_never_started_is_replaced() {
        let expected: Vec<Batch> = loader(0, 2).epoch(3).collect();
        let mut epoch = loader(3, 2).epoch(3);
        epoch.workers[1] = None;
        assert_eq!(epoch.collect::<Vec<_>>(), expected);
    }
}
