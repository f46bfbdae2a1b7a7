//! The model's thread: takes tasks from a queue and computes those that fit together as one batch.

mod job;
mod queue;
mod task;

pub(crate) use job::{AnyJob, Job, JobError};
pub(crate) use queue::Queue;
pub(crate) use task::{Task, same_size};

use std::sync::Arc;

use crate::metrics::Metrics;
use crate::model::Model;

/// Computes tasks until the queue is closed and empty.
///
/// The oldest task chooses the batch: all waiting tasks that fit join it, up to `max_batch` rows. While a batch is computed
/// the next one gathers, so that no task waits for others that may not come.
pub(crate) fn run(queue: &Queue, models: &[Arc<dyn Model>], max_batch: usize, metrics: &Metrics) {
    while let Some(batch) = queue.next_batch(models, max_batch) {
        batch.run(models, metrics);
    }
}
