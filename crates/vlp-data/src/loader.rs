//! Batches of examples, prepared by worker threads; their number does not change the stream.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use getset::WithSetters;
use serde::{Deserialize, Serialize};

use crate::{
    BatchPlan, BatchSampler, CaptionChoice, DataError, Example, Examples, Limits, ResizeRule,
    SkippedRecord, Source, skipped_sample::skipped_sample,
};

/// Options of a [`Loader`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// Seed, batch size and bucketing.
    pub plan: BatchPlan,
    /// The target size of images.
    pub resize: ResizeRule,
    /// Images outside these limits are skipped.
    #[serde(default)]
    pub limits: Limits,
    /// Number of threads that prepare batches; with 0 [`Loader::next`] prepares them.
    pub workers: usize,
    /// Number of batches prepared ahead, at least one per thread.
    pub queue: usize,
    /// The first step, for resuming.
    #[serde(default)]
    pub start_step: u64,
    /// Selection of an image's captions.
    #[serde(default)]
    pub caption: CaptionChoice,
    /// Selection of a negative caption among those of another image.
    #[serde(default)]
    pub negative_caption: CaptionChoice,
    /// Texts per image, at least 1.
    #[serde(default = "one")]
    pub texts_per_image: usize,
    /// Maximum fraction of skipped samples, 0 to 1, relative to one epoch or to all samples requested so far, whichever is
    /// more. 0 allows none.
    pub max_bad_fraction: f64,
}

fn one() -> usize {
    1
}

impl LoaderConfig {
    /// Two threads, four batches ahead, one random caption per image, at most 1 % skipped.
    pub fn new(plan: BatchPlan, resize: ResizeRule) -> Self {
        Self {
            plan,
            resize,
            limits: Limits::default(),
            workers: 2,
            queue: 4,
            start_step: 0,
            caption: CaptionChoice::Random,
            negative_caption: CaptionChoice::Random,
            texts_per_image: 1,
            max_bad_fraction: 0.01,
        }
    }
}

/// The examples of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedBatch {
    /// The step; consecutive from `start_step`.
    pub step: u64,
    /// Its epoch, from 0.
    pub epoch: u64,
    /// The examples in the sampler's order without the skipped ones: fewer than the batch size if some were skipped,
    /// possibly none.
    pub examples: Vec<Example>,
    /// Skipped samples.
    pub skipped: Vec<SkippedRecord>,
}

/// A thread that prepares every `workers`-th step, and its output.
struct Worker {
    queue: mpsc::Receiver<Result<LoadedBatch, DataError>>,
    thread: JoinHandle<()>,
}

/// Prepares the batches of consecutive steps. Each is a pure function of (source, configuration, step): the stream is the
/// same for any number of threads and for any start step. Dropping the loader joins its threads.
pub struct Loader {
    sampler: Arc<BatchSampler>,
    examples: Examples,
    workers: Vec<Worker>,
    start_step: u64,
    step: u64,
    max_bad_fraction: f64,
    requested: u64,
    skipped: u64,
    wait_time: Duration,
    failed: bool,
}

impl Loader {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`DataError::Config`] if the source is empty or the configuration invalid, [`DataError::Worker`] if a thread cannot
    /// be spawned.
    pub fn start(source: Arc<dyn Source>, config: LoaderConfig) -> Result<Self, DataError> {
        if !(0.0..=1.0).contains(&config.max_bad_fraction) {
            let reason = format!("{}; it must be between 0 and 1", config.max_bad_fraction);
            return Err(DataError::Config {
                field: "loader.max_bad_fraction",
                reason,
            });
        }
        let examples = Examples {
            source,
            seed: config.plan.seed,
            resize: config.resize,
            limits: config.limits,
            caption: config.caption,
            negative_caption: config.negative_caption,
            texts_per_image: config.texts_per_image,
        };
        let sampler = Arc::new(BatchSampler::new(config.plan, examples.clone())?);
        let mut loader = Self {
            sampler,
            examples,
            workers: Vec::new(),
            start_step: config.start_step,
            step: config.start_step,
            max_bad_fraction: config.max_bad_fraction,
            requested: 0,
            skipped: 0,
            wait_time: Duration::ZERO,
            failed: false,
        };
        for number in 0..config.workers {
            let (sender, queue) = mpsc::sync_channel(config.queue.div_ceil(config.workers).max(1));
            let (sampler, examples) = (loader.sampler.clone(), loader.examples.clone());
            let mut step = config.start_step + number as u64;
            let stride = config.workers as u64;
            let prepare_batches = move || {
                loop {
                    let batch = prepare(&sampler, &examples, step);
                    let failed = batch.is_err();
                    // Sending fails after the loader was dropped.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                    step += stride;
                }
            };
            let thread = std::thread::Builder::new()
                .name(format!("vlp-loader-{number}"))
                .spawn(prepare_batches)
                .map_err(|error| DataError::Worker(format!("cannot spawn a thread: {error}")))?;
            loader.workers.push(Worker { queue, thread });
        }
        Ok(loader)
    }

    /// Waits for the batch of the next step. The stream does not end: one epoch follows another.
    ///
    /// # Errors
    /// [`DataError::TooManySkipped`] if more samples were skipped than allowed, [`DataError::Worker`] if a thread panicked.
    /// After an error every further call is an error.
    #[expect(
        clippy::should_implement_trait,
        reason = "endless, and every item may fail"
    )]
    pub fn next(&mut self) -> Result<LoadedBatch, DataError> {
        if self.failed {
            return Err(DataError::Worker("stopped by an earlier error".into()));
        }
        let start = Instant::now();
        let batch = self.receive();
        self.wait_time += start.elapsed();
        let batch = batch.and_then(|batch| self.count_skipped(batch));
        self.step += 1;
        self.failed = batch.is_err();
        batch
    }

    fn receive(&self) -> Result<LoadedBatch, DataError> {
        if self.workers.is_empty() {
            return prepare(&self.sampler, &self.examples, self.step);
        }
        let worker = ((self.step - self.start_step) % self.workers.len() as u64) as usize;
        let disconnected = |_| DataError::Worker("a thread ended unexpectedly".into());
        self.workers[worker].queue.recv().map_err(disconnected)?
    }

    fn count_skipped(&mut self, batch: LoadedBatch) -> Result<LoadedBatch, DataError> {
        self.requested += (batch.examples.len() + batch.skipped.len()) as u64;
        self.skipped += batch.skipped.len() as u64;
        let total = self.requested.max(self.examples.source.len() as u64);
        match batch.skipped.last() {
            Some(last) if self.skipped as f64 > self.max_bad_fraction * total as f64 => {
                Err(DataError::TooManySkipped {
                    skipped: self.skipped,
                    requested: self.requested,
                    max_fraction: self.max_bad_fraction,
                    last: last.clone(),
                })
            }
            _ => Ok(batch),
        }
    }

    /// The step of the next batch.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps per epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.sampler.batches_per_epoch()
    }

    /// Samples skipped so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Time that [`next`](Self::next) has waited so far: near 0 if the threads keep up with the consumer.
    pub fn wait_time(&self) -> Duration {
        self.wait_time
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("sampler", &self.sampler)
            .field("workers", &self.workers.len())
            .field("step", &self.step)
            .field("requested", &self.requested)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Dropping the receivers makes threads that are blocked on a full queue return.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // Panics were caught and sent as errors.
            let _ = thread.join();
        }
    }
}

/// The batch of one step; a panic in the source becomes an error.
fn prepare(
    sampler: &BatchSampler,
    examples: &Examples,
    step: u64,
) -> Result<LoadedBatch, DataError> {
    catch_unwind(AssertUnwindSafe(|| load(sampler, examples, step))).map_err(|panic| {
        DataError::Worker(format!(
            "panic while preparing step {step}: {}",
            panic_message(panic.as_ref())
        ))
    })
}

fn load(sampler: &BatchSampler, examples: &Examples, step: u64) -> LoadedBatch {
    let (epoch, indices) = sampler.batch(step);
    let mut batch = LoadedBatch {
        step,
        epoch,
        examples: Vec::with_capacity(indices.len()),
        skipped: Vec::new(),
    };
    for index in indices {
        match examples.load(index, epoch) {
            Ok(example) => batch.examples.push(example),
            Err(error) => {
                let record = skipped_sample(examples.source.as_ref(), index, &error);
                batch.skipped.push(record);
            }
        }
    }
    batch
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
