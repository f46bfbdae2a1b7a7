//! Batches of examples, prepared by threads, in an order that no thread can change.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    CaptionChoice, DataError, Example, Examples, Fault, Limits, Order, Plan, ResizeRule, Source,
};

/// What a [`Loader`] does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// Seed, batch size and bucketing.
    pub plan: Plan,
    /// The size pictures get.
    pub resize: ResizeRule,
    /// Pictures outside are skipped.
    #[serde(default)]
    pub limits: Limits,
    /// Threads that prepare batches; 0 prepares them in `next`.
    pub workers: usize,
    /// Batches kept ready, at least one per thread.
    pub queue: usize,
    /// The first step, for going on after a stop.
    #[serde(default)]
    pub start_step: u64,
    /// Which captions an example takes.
    #[serde(default)]
    pub caption: CaptionChoice,
    /// Which caption of another image it takes.
    #[serde(default)]
    pub foreign: CaptionChoice,
    /// Texts of an example, at least 1.
    #[serde(default = "one")]
    pub texts: usize,
    /// Greatest share of samples, 0 to 1, that may be skipped; counted against one epoch or all samples asked for,
    /// whichever is more. 0 allows none.
    pub max_bad_share: f64,
}

fn one() -> usize {
    1
}

impl LoaderConfig {
    /// Two threads, four batches ready, one random caption an image, at most 1 % skipped.
    pub fn new(plan: Plan, resize: ResizeRule) -> Self {
        Self {
            plan,
            resize,
            limits: Limits::default(),
            workers: 2,
            queue: 4,
            start_step: 0,
            caption: CaptionChoice::Random,
            foreign: CaptionChoice::Random,
            texts: 1,
            max_bad_share: 0.01,
        }
    }
}

/// The examples of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedBatch {
    /// The step, from `start_step` without gaps.
    pub step: u64,
    /// The epoch it belongs to, from 0.
    pub epoch: u64,
    /// The examples in the plan's order, without those skipped: seldom fewer than the batch size, possibly none.
    pub examples: Vec<Example>,
    /// Samples skipped, and why.
    pub skipped: Vec<Fault>,
}

/// One worker's queue: it prepares every `workers`-th step.
struct Worker {
    queue: mpsc::Receiver<Result<LoadedBatch, DataError>>,
    thread: JoinHandle<()>,
}

/// Prepares the batches of successive steps, each a pure function of (source, configuration, step): the stream is the
/// same for any number of threads and from any start. Dropping it ends its threads.
pub struct Loader {
    order: Arc<Order>,
    examples: Examples,
    workers: Vec<Worker>,
    start: u64,
    step: u64,
    max_bad_share: f64,
    seen: u64,
    bad: u64,
    waited: Duration,
    ended: bool,
}

impl Loader {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`DataError::Config`] when the source is empty or the configuration makes no sense, [`DataError::Worker`] when
    /// the system gives no thread.
    pub fn start(source: Arc<dyn Source>, config: LoaderConfig) -> Result<Self, DataError> {
        if !(0.0..=1.0).contains(&config.max_bad_share) {
            let reason = format!("{}; it must be between 0 and 1", config.max_bad_share);
            return Err(DataError::Config {
                field: "loader.max_bad_share",
                reason,
            });
        }
        let examples = Examples {
            source,
            seed: config.plan.seed,
            resize: config.resize,
            limits: config.limits,
            caption: config.caption,
            foreign: config.foreign,
            texts: config.texts,
        };
        let order = Arc::new(Order::new(config.plan, examples.clone())?);
        let mut loader = Self {
            order,
            examples,
            workers: Vec::new(),
            start: config.start_step,
            step: config.start_step,
            max_bad_share: config.max_bad_share,
            seen: 0,
            bad: 0,
            waited: Duration::ZERO,
            ended: false,
        };
        for number in 0..config.workers {
            let (sender, queue) = mpsc::sync_channel(config.queue.div_ceil(config.workers).max(1));
            let (order, examples) = (loader.order.clone(), loader.examples.clone());
            let mut step = config.start_step + number as u64;
            let stride = config.workers as u64;
            let work = move || {
                loop {
                    let batch = prepare(&order, &examples, step);
                    let failed = batch.is_err();
                    // The receiver is gone when the loader was dropped.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                    step += stride;
                }
            };
            let thread = std::thread::Builder::new()
                .name(format!("vlp-loader-{number}"))
                .spawn(work)
                .map_err(|error| DataError::Worker(format!("no thread: {error}")))?;
            loader.workers.push(Worker { queue, thread });
        }
        Ok(loader)
    }

    /// The next step's batch; waits for it. There is no end: epochs follow one another.
    ///
    /// # Errors
    /// [`DataError::TooManyBad`] when more samples were skipped than allowed, [`DataError::Worker`] when a thread
    /// panicked. After an error every further call is an error.
    #[expect(
        clippy::should_implement_trait,
        reason = "endless, and every item may fail"
    )]
    pub fn next(&mut self) -> Result<LoadedBatch, DataError> {
        if self.ended {
            return Err(DataError::Worker("it ended at an earlier error".into()));
        }
        let began = Instant::now();
        let batch = self.receive();
        self.waited += began.elapsed();
        let batch = batch.and_then(|batch| self.count(batch));
        self.step += 1;
        self.ended = batch.is_err();
        batch
    }

    fn receive(&self) -> Result<LoadedBatch, DataError> {
        if self.workers.is_empty() {
            return prepare(&self.order, &self.examples, self.step);
        }
        let turn = ((self.step - self.start) % self.workers.len() as u64) as usize;
        let ended = |_| DataError::Worker("a thread ended without a word".into());
        self.workers[turn].queue.recv().map_err(ended)?
    }

    fn count(&mut self, batch: LoadedBatch) -> Result<LoadedBatch, DataError> {
        self.seen += (batch.examples.len() + batch.skipped.len()) as u64;
        self.bad += batch.skipped.len() as u64;
        let counted = self.seen.max(self.examples.source.len() as u64);
        match batch.skipped.last() {
            Some(last) if self.bad as f64 > self.max_bad_share * counted as f64 => {
                Err(DataError::TooManyBad {
                    bad: self.bad,
                    seen: self.seen,
                    share: self.max_bad_share,
                    last: last.clone(),
                })
            }
            _ => Ok(batch),
        }
    }

    /// The step that `next` returns next.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.order.batches_per_epoch()
    }

    /// Samples skipped so far.
    pub fn skipped(&self) -> u64 {
        self.bad
    }

    /// Time that `next` has waited so far: near 0 where the threads keep up with the consumer.
    pub fn idle(&self) -> Duration {
        self.waited
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // A worker that waits at a full queue gets an error from it now, and ends.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // Its panics were caught and sent, or nobody waits for them any more.
            let _ = thread.join();
        }
    }
}

/// The batch of one step; a panic in a source becomes an error.
fn prepare(order: &Order, examples: &Examples, step: u64) -> Result<LoadedBatch, DataError> {
    catch_unwind(AssertUnwindSafe(|| load(order, examples, step))).map_err(|panic| {
        DataError::Worker(format!(
            "panic while preparing step {step}: {}",
            message(panic.as_ref())
        ))
    })
}

fn load(order: &Order, examples: &Examples, step: u64) -> LoadedBatch {
    let (epoch, indices) = order.batch(step);
    let mut batch = LoadedBatch {
        step,
        epoch,
        examples: Vec::with_capacity(indices.len()),
        skipped: Vec::new(),
    };
    for index in indices {
        match examples.load(index, epoch) {
            Ok(example) => batch.examples.push(example),
            Err(error) => batch
                .skipped
                .push(fault(examples.source.as_ref(), index, &error)),
        }
    }
    batch
}

pub(crate) fn fault(source: &dyn Source, index: usize, error: &DataError) -> Fault {
    let file = match error {
        DataError::Io { path, .. }
        | DataError::Missing { path, .. }
        | DataError::Format { path, .. } => path.display().to_string(),
        DataError::Decode { name, .. } | DataError::Limit { name, .. } => name.clone(),
        _ => String::new(),
    };
    Fault {
        source: source.name().into(),
        file,
        record: format!("sample {index}, image {}", source.key(index)),
        reason: error.to_string(),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
