//! One optimizer step at a time: accumulate, check, clip, update, average.

mod accumulate;
mod capture;
mod config;
mod exchange;
mod flat;
mod micro_batch;
mod resume;
mod step_sum;
mod step_values;
mod update;

use std::fmt;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::ModuleOptimizer;
use burn::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vlp_distributed::{ProcessGroup, SingleProcess};
use vlp_ops::capture::copy_tensor;

use crate::ema::Ema;
use crate::error::TrainError;
use crate::grad_scale::GradScale;
use crate::param_groups::ParamGroups;
use crate::param_values::ParamValues;
use accumulate::Accumulated;
use capture::Graphs;
pub use capture::{StepCaptureReport, StepInputs};
pub use config::TrainerConfig;
use exchange::Buffers;
pub use micro_batch::BatchLoss;
pub use resume::{EMA_FILE, MODEL_FILE, OPTIMIZER_FILE, load_weights};

/// Result of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Global gradient norm before clipping.
    pub grad_norm: f32,
    /// Learning rate of the parameters outside every group.
    pub learning_rate: f64,
    /// Why the step was skipped, if it was.
    pub skipped: Option<SkipReason>,
}

/// Why a step is skipped. A skipped step changes no weights, optimizer state or running statistics; except that SGD's velocity,
/// of which there is none before the first update, is zero after it on a GPU, which changes no later step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SkipReason {
    /// A loss or gradient is not finite. [`TrainerConfig::max_skipped`] such steps in a row end training.
    #[error("{0}")]
    NotFinite(String),
    /// No loss of the batch has a gradient. Such steps never end training; a micro-batch without a gradient
    /// contributes zeros.
    #[error("{0}")]
    NoGradient(String),
}

/// The report of a step, and the output and the reported values of each micro-batch.
pub type StepOutcome<T> = (StepReport, Vec<(T, Vec<f32>)>);

/// What a module does with the running statistics of a step's micro-batches.
type EndOfStep<M> = Box<dyn Fn(&M, usize) + Send>;

/// A module in training.
pub struct Trainer<M: Module> {
    /// `None` only while the optimizer updates it: in-place updates need the sole reference.
    model: Option<M>,
    config: TrainerConfig,
    groups: ParamGroups,
    optimizer: ModuleOptimizer,
    grad_scale: GradScale,
    /// Whether the CPU reads losses and norm only after it has launched the update, as it does on a GPU.
    defers_reads: bool,
    ema: Option<Ema<M>>,
    processes: Arc<dyn ProcessGroup>,
    buffers: Buffers,
    end_of_step: Option<EndOfStep<M>>,
    graphs: Graphs<M>,
    step: u64,
    skipped: u64,
    skipped_in_row: u32,
}

impl<M: Module> fmt::Debug for Trainer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("config", &self.config)
            .field("step", &self.step)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

impl<M: Module> Trainer<M> {
    /// A trainer of `model`, which is on an autodiff device, at step 0. Sets the precision of the process.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a value out of range, a precision that the device does not support, or an optimizer group
    /// without a parameter.
    pub fn new(model: M, config: TrainerConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let grad_scale = GradScale::default();
        let optimizer = config.optimizer.init(&grad_scale)?;
        let groups = ParamGroups::new(config.optimizer.learning_rate, &config.optimizer.groups)?;
        groups.check_matches(&model)?;
        let ema = (config.ema_decay > 0.0).then(|| Ema::new(&model, config.ema_decay));
        let devices = model.devices();
        if let Some(device) = devices.first() {
            config.precision.set(device)?;
        }
        Ok(Self {
            defers_reads: devices.first().is_some_and(|d| !vlp_ops::is_cpu(d)),
            model: Some(model),
            config,
            groups,
            optimizer,
            grad_scale,
            ema,
            processes: Arc::new(SingleProcess),
            buffers: Buffers::default(),
            end_of_step: None,
            graphs: Graphs::default(),
            step: 0,
            skipped: 0,
            skipped_in_row: 0,
        })
    }

    /// Trains together with other processes, each of which computes its part of the micro-batches of every step: the weights
    /// are bit-identical to those of one process.
    ///
    /// # Errors
    /// [`TrainError::Config`] if there are more processes than micro-batches.
    pub fn with_processes(mut self, processes: Arc<dyn ProcessGroup>) -> Result<Self, TrainError> {
        self.config.check_processes(processes.world_size())?;
        self.processes = processes;
        Ok(self)
    }

    /// Calls `end_of_step(model, micro_batches)` after every update, when the running statistics are means over the step's
    /// micro-batches. With [`TrainerConfig::capture`] it must consist of operations on tensors of the device: a recording calls it
    /// four times on statistics that are then restored, and replays repeat its operations without calling it.
    #[must_use]
    pub fn with_end_of_step(mut self, end_of_step: impl Fn(&M, usize) + Send + 'static) -> Self {
        self.end_of_step = Some(Box::new(end_of_step));
        self
    }

    /// Sets whether the CPU reads losses and norm only after it has launched the update, as it does on a GPU by default. For
    /// tests that compare both.
    #[doc(hidden)]
    #[must_use]
    pub fn with_deferred_reads(mut self, on: bool) -> Self {
        self.defers_reads = on;
        self
    }

    /// The module, on an autodiff device. With [`TrainerConfig::capture`] on a GPU, later steps also change the weights of its
    /// clones; those of [`Self::eval_model`] stay.
    pub fn model(&self) -> &M {
        // Missing only after a panic inside the optimizer.
        #[allow(clippy::expect_used)]
        self.model
            .as_ref()
            .expect("the optimizer returns the module")
    }

    /// Number of completed steps, including skipped ones.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Number of skipped steps, for either [`SkipReason`]. If it equals [`Self::step_count`], nothing was trained.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The module to evaluate and export, without autodiff: the moving average if there is one.
    pub fn eval_model(&self) -> M {
        let model = match &self.ema {
            Some(ema) => ema.average().valid(),
            None => self.model().valid(),
        };
        match self.config.capture && self.defers_reads {
            // Later steps write into the tensors of this module, once there is a graph.
            true => model.map(&mut CopyParams),
            false => model,
        }
    }

    /// The micro-batches of each step that this process computes, out of [`TrainerConfig::accumulate`].
    pub fn micro_batches(&self) -> std::ops::Range<usize> {
        let (rank, count) = (self.processes.rank(), self.processes.world_size());
        vlp_distributed::micro_batches_of_rank(rank, count, self.config.accumulate)
    }

    /// Makes one optimizer step. `loss(model, index)` returns the loss `[1]` of the micro-batch `index`, or a
    /// reason to skip the step; it is called for [`Self::micro_batches`] in order. The step is skipped if a loss or gradient
    /// is not finite, or if no micro-batch has a gradient: a loss without one may be a constant, or depend on frozen
    /// parameters only.
    ///
    /// A micro-batch's gradient is a function of the weights and running statistics at the start of the step, `seed`, step
    /// and index: the device's random numbers (dropout) are seeded for each, and running statistics become the mean of
    /// those after each. Gradients are added along a [tree](vlp_distributed::TreeSum) that depends on the number of
    /// micro-batches alone. So neither resuming nor the number of processes changes any bit of the result.
    ///
    /// # Errors
    /// Those of `loss`, [`TrainError::Diverged`], and [`TrainError::Rank`] if `loss` failed in another process.
    pub fn step<E: From<TrainError> + fmt::Display>(
        &mut self,
        seed: u64,
        mut loss: impl FnMut(&M, usize) -> Result<Result<Tensor<1>, SkipReason>, E>,
    ) -> Result<StepReport, E> {
        let loss = |model: &M, index: usize| -> Result<_, E> {
            Ok(BatchLoss::new(loss(model, index)?, ()))
        };
        self.count_replays();
        let statistics = self.start_statistics();
        let run = self.run_in_sequence(seed, &statistics, loss);
        Ok(self.finish_step(&statistics, run)?.0)
    }

    /// As [`Self::step`], where `loss` also returns values to report and an output of each micro-batch; these are
    /// returned in the order of all processes' micro-batches, up to the first with a value that is not finite. With
    /// [`TrainerConfig::data_parallel_halves`] the micro-batches run concurrently if one process computes both, and all
    /// values are returned.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn step_with_outputs<E, T>(
        &mut self,
        seed: u64,
        loss: impl Fn(&M, usize) -> Result<BatchLoss<T>, E> + Sync,
    ) -> Result<StepOutcome<T>, E>
    where
        E: From<TrainError> + fmt::Display + Send,
        T: Serialize + DeserializeOwned + Send,
    {
        self.count_replays();
        let statistics = self.start_statistics();
        let halves = self.config.data_parallel_halves && self.processes.world_size() == 1;
        let run = match halves && !self.graphs.exist() {
            true => self.run_halves(&statistics, loss),
            false => self.run_in_sequence(seed, &statistics, loss),
        };
        self.finish_step(&statistics, run)
    }

    fn finish_step<E, T>(
        &mut self,
        statistics: &ParamValues,
        run: Result<Accumulated<T>, E>,
    ) -> Result<StepOutcome<T>, E>
    where
        E: From<TrainError> + fmt::Display,
        T: Serialize + DeserializeOwned,
    {
        let run = match self.processes.world_size() {
            1 => run?,
            _ => self.exchange(run)?,
        };
        let outcome = self.apply(statistics, run)?;
        if outcome.0.skipped.is_none() {
            self.keep_statistics_in_place(statistics);
        }
        Ok(outcome)
    }
}

/// Copies every parameter into its own memory.
struct CopyParams;

impl ModuleMapper for CopyParams {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| copy_tensor(&tensor))
    }
}
