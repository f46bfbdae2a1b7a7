//! A task with the client that waits for it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::task::Task;
use crate::metrics::Metrics;
use crate::model::{Model, ModelError};

/// Why a task has no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobError {
    Model(ModelError),
    /// The model panicked, or returned another number of outputs.
    Panicked,
}

/// A task for one of the models, and where its output goes.
pub(crate) struct Job<T: Task> {
    model: usize,
    task: T,
    reply: oneshot::Sender<Result<T::Output, JobError>>,
}

impl<T: Task> Job<T> {
    /// The receiver gets the output; a dropped receiver abandons the task.
    pub(crate) fn new(
        model: usize,
        task: T,
    ) -> (Self, oneshot::Receiver<Result<T::Output, JobError>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { model, task, reply }, receiver)
    }
}

/// A job of any kind of task.
pub(crate) trait AnyJob: Any + Send {
    /// Whether its client has gone or timed out.
    fn is_abandoned(&self) -> bool;

    /// A batch of this job and those of `waiting` that fit, which are removed there.
    fn take_batch(
        self: Box<Self>,
        waiting: &mut VecDeque<Box<dyn AnyJob>>,
        models: &[Arc<dyn Model>],
        max_rows: usize,
    ) -> Box<dyn Batch>;
}

impl<T: Task> AnyJob for Job<T> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn take_batch(
        self: Box<Self>,
        waiting: &mut VecDeque<Box<dyn AnyJob>>,
        models: &[Arc<dyn Model>],
        max_rows: usize,
    ) -> Box<dyn Batch> {
        let model = &*models[self.model];
        let mut rows = self.task.rows();
        let mut rest = VecDeque::with_capacity(waiting.len());
        let mut jobs = vec![];
        for job in waiting.drain(..) {
            let any: &dyn Any = &*job;
            let fits = any.downcast_ref::<Self>().is_some_and(|job| {
                let is_small = rows + job.task.rows() <= max_rows;
                job.model == self.model && is_small && self.task.joins(&job.task, model)
            });
            let any: Box<dyn Any> = match fits {
                true => job,
                false => {
                    rest.push_back(job);
                    continue;
                }
            };
            if let Ok(job) = any.downcast::<Self>() {
                rows += job.task.rows();
                jobs.push(*job);
            }
        }
        *waiting = rest;
        jobs.insert(0, *self);
        Box::new(jobs)
    }
}

/// Jobs that are computed together.
pub(crate) trait Batch {
    /// Computes and answers them. If a batch fails, each of its jobs is tried alone, so that one cannot fail the others.
    fn run(self: Box<Self>, models: &[Arc<dyn Model>], metrics: &Metrics);
}

impl<T: Task> Batch for Vec<Job<T>> {
    fn run(self: Box<Self>, models: &[Arc<dyn Model>], metrics: &Metrics) {
        let Some(first) = self.first() else { return };
        let model = &*models[first.model];
        let tasks: Vec<&T> = self.iter().map(|job| &job.task).collect();
        let outputs = compute(model, &tasks, metrics);
        let outputs: Vec<_> = match outputs {
            Ok(outputs) => outputs.into_iter().map(Ok).collect(),
            Err(_) if tasks.len() > 1 => {
                let alone = tasks.iter().map(|&task| {
                    let outputs = compute(model, &[task], metrics)?;
                    outputs.into_iter().next().ok_or(JobError::Panicked)
                });
                alone.collect()
            }
            Err(error) => vec![Err(error)],
        };
        for (job, output) in self.into_iter().zip(outputs) {
            // The client may have gone.
            let _ = job.reply.send(output);
        }
    }
}

fn compute<T: Task>(
    model: &dyn Model,
    tasks: &[&T],
    metrics: &Metrics,
) -> Result<Vec<T::Output>, JobError> {
    let start = Instant::now();
    // A model has no state that a panic could leave half changed but locks, which report that they are poisoned.
    let outputs = catch_unwind(AssertUnwindSafe(|| T::run(model, tasks)));
    metrics.batch(&model.info().name, T::NAME, tasks.len(), start.elapsed());
    match outputs {
        Ok(Ok(outputs)) if outputs.len() == tasks.len() => Ok(outputs),
        Ok(Err(error)) => Err(JobError::Model(error)),
        Ok(Ok(_)) | Err(_) => {
            metrics.panics.inc();
            Err(JobError::Panicked)
        }
    }
}
