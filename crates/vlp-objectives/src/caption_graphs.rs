//! Recorded graphs of caption decoding.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vlp_ops::capture::{CaptureCounts, Captured};

pub(crate) type CapturedStep = Captured<StepArgs, Infallible>;

/// The recorded graphs of caption decoding, for one model whose weights do not change.
#[derive(Debug, Default)]
pub struct CaptionGraphs(Mutex<Option<CapturedStep>>);

/// What a step of decoding depends on besides its inputs.
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
    /// How often steps ran in which way.
    pub fn counts(&self) -> CaptureCounts {
        let step = self.lock();
        step.as_ref().map(Captured::counts).unwrap_or_default()
    }

    /// Why steps ran without a graph, and how many for each reason.
    pub fn fallbacks(&self) -> Vec<(String, usize)> {
        let step = self.lock();
        let fallbacks = step.as_ref().map(|step| step.fallbacks().to_vec());
        fallbacks.unwrap_or_default()
    }

    /// The step, once a batch has been decoded.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<CapturedStep>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
