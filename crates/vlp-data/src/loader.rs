//! Batches of examples, prepared by worker threads; their number does not change the stream.

use std::{
    any::Any,
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use getset::WithSetters;
use serde::{Deserialize, Serialize};

use crate::{
    BatchPlan, BatchSampler, CaptionChoice, DataError, Example, Examples, Limits, NegativeFrom,
    ResizeRule, SkippedRecord, Source, batch_sampler::WindowBatch,
    micro_batch_steps::MicroBatchSteps, skipped_sample::skipped_sample,
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
    /// Micro-batches of a training step, at least 1: loader step `n * accumulate + k` is micro-batch `k` of training step
    /// `n`.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// The micro-batches of each training step to load, a range of `0..accumulate`; all if absent. Batches of the others
    /// are left to other processes.
    #[serde(default)]
    pub micro_batches: Option<Range<usize>>,
    /// Selection of an image's captions.
    #[serde(default)]
    pub caption: CaptionChoice,
    /// Selection of a negative caption among those of another image.
    #[serde(default)]
    pub negative_caption: CaptionChoice,
    /// The samples that negative captions come from.
    #[serde(default)]
    pub negative_from: NegativeFrom,
    /// Texts per image, at least 1.
    #[serde(default = "one")]
    pub texts_per_image: usize,
}

fn one() -> usize {
    1
}

impl LoaderConfig {
    /// Two threads, four batches ahead, one random caption per image, every micro-batch.
    pub fn new(plan: BatchPlan, resize: ResizeRule) -> Self {
        Self {
            plan,
            resize,
            limits: Limits::default(),
            workers: 2,
            queue: 4,
            start_step: 0,
            accumulate: 1,
            micro_batches: None,
            caption: CaptionChoice::Random,
            negative_caption: CaptionChoice::Random,
            negative_from: NegativeFrom::Dataset,
            texts_per_image: 1,
        }
    }
}

/// The examples of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedBatch {
    /// The step: ascending from `start_step`, without those of micro-batches that are not loaded.
    pub step: u64,
    /// Its epoch, from 0.
    pub epoch: u64,
    /// The examples in the sampler's order without the skipped ones: fewer than the batch size if some were skipped,
    /// possibly none.
    pub examples: Vec<Example>,
    /// Skipped samples.
    pub skipped: Vec<SkippedRecord>,
}

/// A thread that prepares every `workers`-th of the loaded steps, and its output.
struct Worker {
    queue: mpsc::Receiver<Result<LoadedBatch, DataError>>,
    thread: JoinHandle<()>,
}

/// Prepares the batches of consecutive steps, or of the configured micro-batches of each training step. A batch is a pure
/// function of (source, configuration, step): the stream is the same for any number of threads, for any start step, and
/// however the micro-batches are distributed. Dropping the loader joins its threads.
///
/// Samples that cannot be loaded are skipped without limit; see [`SkippedBudget`](crate::SkippedBudget). A
/// [store](DataError::is_of_store) that cannot be read ends the stream.
pub struct Loader {
    preparer: Arc<Preparer>,
    workers: Vec<Worker>,
    steps: MicroBatchSteps,
    /// Numbers of the first and the next step in `steps`.
    first_number: u64,
    next_number: u64,
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
        let steps = MicroBatchSteps::new(config.accumulate, config.micro_batches.as_ref())?;
        let (lanes, accumulate) = (config.plan.lanes, config.accumulate);
        if lanes > 1 && lanes != accumulate {
            return Err(DataError::Config {
                field: "data.lanes",
                reason: format!(
                    "{lanes}; it must be 1, or the {accumulate} micro-batches of a step (train.accumulate)"
                ),
            });
        }
        if config.negative_from == NegativeFrom::Window && config.plan.window == 0 {
            return Err(DataError::Config {
                field: "data.negative_from",
                reason: "\"window\", but data.window is 0; set it to 4096 samples, for example"
                    .into(),
            });
        }
        let first_number = steps.number(config.start_step);
        let examples = Examples {
            source,
            seed: config.plan.seed,
            resize: config.resize,
            limits: config.limits,
            caption: config.caption,
            negative_caption: config.negative_caption,
            texts_per_image: config.texts_per_image,
        };
        let preparer = Arc::new(Preparer {
            sampler: BatchSampler::new(config.plan, examples.clone())?,
            examples,
            negative_from: config.negative_from,
        });
        let mut loader = Self {
            preparer,
            workers: Vec::new(),
            steps,
            first_number,
            next_number: first_number,
            wait_time: Duration::ZERO,
            failed: false,
        };
        for number in 0..config.workers {
            let (sender, queue) = mpsc::sync_channel(config.queue.div_ceil(config.workers).max(1));
            let (preparer, steps) = (loader.preparer.clone(), loader.steps.clone());
            let numbers = (first_number + number as u64..).step_by(config.workers);
            let prepare_batches = move || {
                for number in numbers {
                    let batch = preparer.prepare(steps.step(number));
                    let failed = batch.is_err();
                    // Sending fails after the loader was dropped.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
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
    /// Those of [`BatchSampler::batch`], [`DataError::Store`], and [`DataError::Worker`] if a thread panicked. After an error
    /// every further call is an error.
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
        self.next_number += 1;
        self.failed = batch.is_err();
        batch
    }

    fn receive(&self) -> Result<LoadedBatch, DataError> {
        if self.workers.is_empty() {
            return self.preparer.prepare(self.step());
        }
        let worker = ((self.next_number - self.first_number) % self.workers.len() as u64) as usize;
        let disconnected = |_| DataError::Worker("a thread ended unexpectedly".into());
        self.workers[worker].queue.recv().map_err(disconnected)?
    }

    /// The step of the next batch.
    pub fn step(&self) -> u64 {
        self.steps.step(self.next_number)
    }

    /// Time that [`next`](Self::next) has waited so far: near 0 if the threads keep up with the consumer.
    pub fn wait_time(&self) -> Duration {
        self.wait_time
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("sampler", &self.preparer.sampler)
            .field("workers", &self.workers.len())
            .field("steps", &self.steps)
            .field("step", &self.step())
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

/// Prepares the batch of any step.
struct Preparer {
    sampler: BatchSampler,
    examples: Examples,
    negative_from: NegativeFrom,
}

impl Preparer {
    /// The batch of a step; a panic in the source becomes an error.
    fn prepare(&self, step: u64) -> Result<LoadedBatch, DataError> {
        catch_unwind(AssertUnwindSafe(|| self.load(step))).map_err(|panic| {
            DataError::Worker(format!(
                "panic while preparing step {step}: {}",
                panic_message(panic.as_ref())
            ))
        })?
    }

    fn load(&self, step: u64) -> Result<LoadedBatch, DataError> {
        let WindowBatch {
            epoch,
            window,
            range,
        } = self.sampler.window_batch(step)?;
        let mut batch = LoadedBatch {
            step,
            epoch,
            examples: Vec::with_capacity(range.len()),
            skipped: Vec::new(),
        };
        for &index in &window[range] {
            let example = match self.negative_from {
                NegativeFrom::Dataset => self.examples.load(index, epoch),
                NegativeFrom::Window => {
                    (self.examples).load_with_negatives_from(&window, index, epoch)
                }
            };
            match example {
                Ok(example) => batch.examples.push(example),
                Err(error) if error.is_of_store() => return Err(error),
                Err(error) => {
                    let record = skipped_sample(self.examples.source.as_ref(), index, &error);
                    batch.skipped.push(record);
                }
            }
        }
        Ok(batch)
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
