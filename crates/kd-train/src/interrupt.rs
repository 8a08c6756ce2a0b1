use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop a run, which can be made from a signal handler or another thread.
///
/// Clones share the request. A run that was given one stops after the step that it is in, writes a
/// checkpoint if it has a folder, and returns
/// [`TrainError::Interrupted`](crate::TrainError::Interrupted).
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Requests that the run stops.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether a stop has been requested.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
