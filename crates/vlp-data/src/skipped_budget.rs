use crate::{DataError, SkippedRecord};

/// Counts skipped samples and fails once they exceed the allowed fraction, relative to one epoch or to all samples requested
/// so far, whichever is more.
///
/// A [`Loader`](crate::Loader) skips without limit. Whoever consumes its batches records them here in the order of their
/// steps; a step whose micro-batches are loaded by several processes is recorded in the order of the micro-batches, so that
/// every process gets the same result.
#[derive(Debug, Clone)]
pub struct SkippedBudget {
    max_fraction: f64,
    epoch_samples: u64,
    requested: u64,
    skipped: u64,
}

impl SkippedBudget {
    /// Allows a fraction of skipped samples, 0 to 1, for a source of `epoch_samples` samples. 0 allows none.
    ///
    /// # Errors
    /// [`DataError::Config`] if `max_fraction` is not between 0 and 1.
    pub fn new(max_fraction: f64, epoch_samples: usize) -> Result<Self, DataError> {
        if !(0.0..=1.0).contains(&max_fraction) {
            return Err(DataError::Config {
                field: "max_bad_fraction",
                reason: format!("{max_fraction}; it must be between 0 and 1"),
            });
        }
        Ok(Self {
            max_fraction,
            epoch_samples: epoch_samples as u64,
            requested: 0,
            skipped: 0,
        })
    }

    /// Records a batch of `requested` samples of which `skipped` were skipped, the last one with the record `last`.
    ///
    /// # Errors
    /// [`DataError::TooManySkipped`] if this batch has skipped samples and exceeds the allowed fraction.
    pub fn record(
        &mut self,
        requested: u64,
        skipped: u64,
        last: Option<&SkippedRecord>,
    ) -> Result<(), DataError> {
        self.requested += requested;
        self.skipped += skipped;
        let total = self.requested.max(self.epoch_samples);
        match last {
            Some(last) if self.skipped as f64 > self.max_fraction * total as f64 => {
                Err(DataError::TooManySkipped {
                    skipped: self.skipped,
                    requested: self.requested,
                    max_fraction: self.max_fraction,
                    last: last.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Samples skipped so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}
