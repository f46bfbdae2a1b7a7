//! Recorded graphs of caption decoding.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use vlp_ops::capture::{CaptureReport, Captured};

pub(crate) type CapturedStep = Captured<StepArgs, Infallible>;

/// The recorded graphs of caption decoding, for one model whose weights do not change.
#[derive(Debug, Default)]
pub struct CaptionGraphs(OnceLock<Mutex<CapturedStep>>);

/// What a decoding step depends on in addition to its inputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepArgs {
    /// Tokens chosen on the device; `None` copies all log-probabilities.
    pub(crate) top: Option<usize>,
    /// Whether rows are reordered.
    pub(crate) reorders: bool,
    /// Rows of the batch.
    pub(crate) rows: usize,
    /// Tokens that the cache holds.
    pub(crate) length: usize,
}

impl CaptionGraphs {
    /// How often the step was recorded and replayed, once a batch has been decoded.
    pub(crate) fn report(&self) -> Option<CaptureReport> {
        Some(lock(self.0.get()?).report())
    }

    /// The step of the first call.
    pub(crate) fn step(&self, step: impl FnOnce() -> CapturedStep) -> MutexGuard<'_, CapturedStep> {
        lock(self.0.get_or_init(|| Mutex::new(step())))
    }
}

/// The value, even if another thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
