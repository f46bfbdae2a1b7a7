//! Jobs that wait for the model.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use super::job::{AnyJob, Batch};
use crate::model::Model;

/// Jobs in the order they came. The number of requests is limited before they become jobs.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    waiting: IntGauge,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn AnyJob>>,
    is_closed: bool,
}

impl Queue {
    /// An empty queue, whose length `waiting` shows.
    pub(crate) fn new(waiting: IntGauge) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            waiting,
        }
    }

    /// Adds the jobs of a request, which may join one batch, and removes those that nobody waits for; false if the queue is
    /// closed.
    #[must_use]
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = Box<dyn AnyJob>>) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        // During a long batch, clients that time out and ask again would fill the queue.
        state.jobs.retain(|job| !job.is_abandoned());
        state.jobs.extend(jobs);
        self.waiting.set(state.jobs.len() as i64);
        self.changed.notify_one();
        true
    }

    /// Refuses further jobs; those that wait are still computed.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next batch; `None` once the queue is closed and empty.
    pub(crate) fn next_batch(
        &self,
        models: &[Arc<dyn Model>],
        max_rows: usize,
    ) -> Option<Box<dyn Batch>> {
        let mut state = self.lock();
        loop {
            state.jobs.retain(|job| !job.is_abandoned());
            self.waiting.set(state.jobs.len() as i64);
            if let Some(job) = state.jobs.pop_front() {
                let batch = job.take_batch(&mut state.jobs, models, max_rows);
                self.waiting.set(state.jobs.len() as i64);
                return Some(batch);
            }
            if state.is_closed {
                return None;
            }
            let changed = self.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A job is pushed or popped whole: a panic leaves the queue usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
