use std::ops::Range;

use crate::DataError;

/// The loader steps of the micro-batches `range` of each training step: step `n * accumulate + k` for `k` in `range`,
/// numbered from 0.
#[derive(Debug, Clone)]
pub(crate) struct MicroBatchSteps {
    accumulate: u64,
    range: Range<u64>,
}

impl MicroBatchSteps {
    /// # Errors
    /// [`DataError::Config`] if `accumulate` is 0, or `range` is empty or exceeds `accumulate`.
    pub(crate) fn new(accumulate: usize, range: Option<&Range<usize>>) -> Result<Self, DataError> {
        if accumulate == 0 {
            return Err(DataError::Config {
                field: "loader.accumulate",
                reason: "0; it must be at least 1".into(),
            });
        }
        let range = range.map_or(0..accumulate, Range::clone);
        if range.is_empty() || range.end > accumulate {
            return Err(DataError::Config {
                field: "loader.micro_batches",
                reason: format!(
                    "{range:?}; it must be a range of at least one of the {accumulate} micro-batches of a step"
                ),
            });
        }
        Ok(Self {
            accumulate: accumulate as u64,
            range: range.start as u64..range.end as u64,
        })
    }

    /// The loader step of a number.
    pub(crate) fn step(&self, number: u64) -> u64 {
        let count = self.range.end - self.range.start;
        number / count * self.accumulate + self.range.start + number % count
    }

    /// The number of the first loader step that is not before `step`.
    pub(crate) fn number(&self, step: u64) -> u64 {
        let count = self.range.end - self.range.start;
        let earlier = (step % self.accumulate).clamp(self.range.start, self.range.end);
        step / self.accumulate * count + earlier - self.range.start
    }
}
