//! One optimizer step at a time: accumulate, check, clip, update, average.

mod batch_loss;
mod config;
mod resume;
mod step_values;

use std::fmt;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::prelude::*;

use crate::deferred::clone_grads;
use crate::ema::Ema;
use crate::error::TrainError;
use crate::grads::{GradScale, Scale, has_trained_param, norm_on_device, param_norms};
use crate::param_groups::ParamGroups;
use crate::param_values::ParamValues;
use batch_loss::BatchGrads;
pub use batch_loss::BatchLoss;
pub use config::TrainerConfig;
pub use resume::{EMA_FILE, MODEL_FILE, OPTIMIZER_FILE, load_weights};
use step_values::StepValues;

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

/// Why a step is skipped. A skipped step changes no weights, optimizer state or running statistics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// A loss or gradient is not finite. [`TrainerConfig::max_skipped`] such steps in a row end training.
    #[error("{0}")]
    NotFinite(String),
    /// There is nothing to learn from the batch. Such steps never end training; an accumulated batch without a gradient
    /// contributes zeros.
    #[error("{0}")]
    NoGradient(String),
}

/// What a step did, and of each batch its output and the values to report.
pub type StepOutcome<T> = (StepReport, Vec<(T, Vec<f32>)>);

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
    /// A trainer of `model`, which is on an autodiff device, at step 0.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a value out of range, or an optimizer group without a parameter.
    pub fn new(model: M, config: TrainerConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let grad_scale = GradScale::default();
        let optimizer = config.optimizer.init(&grad_scale)?;
        let groups = ParamGroups::new(config.optimizer.learning_rate, &config.optimizer.groups)?;
        groups.check_matches(&model)?;
        let ema = (config.ema_decay > 0.0).then(|| Ema::new(&model, config.ema_decay));
        let devices = model.devices();
        Ok(Self {
            defers_reads: devices.first().is_some_and(|d| !vlp_ops::is_cpu(d)),
            model: Some(model),
            config,
            groups,
            optimizer,
            grad_scale,
            ema,
            step: 0,
            skipped: 0,
            skipped_in_row: 0,
        })
    }

    /// Whether the CPU reads losses and norm only after it has launched the update, as it does on a GPU: to compare both.
    #[doc(hidden)]
    #[must_use]
    pub fn with_deferred_reads(mut self, on: bool) -> Self {
        self.defers_reads = on;
        self
    }

    /// The module, on an autodiff device.
    pub fn model(&self) -> &M {
        // Missing only after a panic inside the optimizer.
        #[allow(clippy::expect_used)]
        self.model
            .as_ref()
            .expect("the optimizer returns the module")
    }

    /// Steps done, including skipped ones.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Skipped steps, for either [`SkipReason`]. If it equals [`Self::step_count`], nothing was trained.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The module to evaluate and export, without autodiff: the moving average if there is one.
    pub fn eval_model(&self) -> M {
        match &self.ema {
            Some(ema) => ema.average().valid(),
            None => self.model().valid(),
        }
    }

    /// Does one optimizer step. `loss(model, index)` returns the loss `[1]` of the accumulated batch `index`, or a
    /// reason to skip it. The step is skipped if a loss or gradient is not finite, or if no batch has a gradient: a
    /// loss without one may be a constant, or depend on frozen parameters only.
    ///
    /// The device's random numbers (dropout) are a function of `seed` and the step, so that a resumed run draws the
    /// same ones as an uninterrupted run.
    ///
    /// # Errors
    /// Those of `loss`, and [`TrainError::Diverged`].
    pub fn step<E: From<TrainError>>(
        &mut self,
        seed: u64,
        mut loss: impl FnMut(&M, usize) -> Result<Result<Tensor<1>, SkipReason>, E>,
    ) -> Result<StepReport, E> {
        let loss = |model: &M, index: usize| -> Result<_, E> {
            Ok(BatchLoss::new(loss(model, index)?, ()))
        };
        Ok(self.sequential_step(seed, loss)?.0)
    }

    /// As [`Self::step`], where `loss` also returns values to report and an output of each batch; these are returned in
    /// the order of the batches, up to the first with a value that is not finite. With
    /// [`TrainerConfig::data_parallel_halves`] the batches run concurrently, and all are returned.
    ///
    /// # Errors
    /// Those of `loss`, and [`TrainError::Diverged`].
    pub fn step_with_outputs<E: From<TrainError> + Send, T: Send>(
        &mut self,
        seed: u64,
        loss: impl Fn(&M, usize) -> Result<BatchLoss<T>, E> + Sync,
    ) -> Result<StepOutcome<T>, E> {
        if !self.config.data_parallel_halves {
            return self.sequential_step(seed, loss);
        }
        let statistics = self.begin_step(seed);
        let devices = self.model().devices();
        let frozen = self.frozen_model();
        let model = frozen.as_ref().unwrap_or_else(|| self.model());
        // A fork has its own autodiff graph; its parameters keep their ids.
        let fork = || match devices.first() {
            Some(device) => model.clone().fork(device),
            None => model.clone(),
        };
        let accumulate = self.config.accumulate;
        let batch = |model: M, index: usize| -> Result<_, E> {
            Ok(backward(loss(&model, index)?, &model, accumulate))
        };
        let (first, second) = (fork(), fork());
        let (first, second) = vlp_ops::run_concurrently(|| batch(first, 0), || batch(second, 1));
        drop(frozen);
        Ok(self.apply(statistics, vec![first?, second?])?)
    }

    fn sequential_step<E: From<TrainError>, T>(
        &mut self,
        seed: u64,
        mut loss: impl FnMut(&M, usize) -> Result<BatchLoss<T>, E>,
    ) -> Result<StepOutcome<T>, E> {
        let statistics = self.begin_step(seed);
        let frozen = self.frozen_model();
        let model = frozen.as_ref().unwrap_or_else(|| self.model());
        let mut batches = vec![];
        for index in 0..self.config.accumulate {
            let batch = backward(loss(model, index)?, model, self.config.accumulate);
            let is_last = matches!(batch.grads, Err(SkipReason::NotFinite(_)));
            batches.push(batch);
            if is_last {
                break;
            }
        }
        drop(frozen);
        Ok(self.apply(statistics, batches)?)
    }

    /// The module with the groups frozen that are frozen at this step; `None` if there are none.
    fn frozen_model(&self) -> Option<M> {
        let groups = self.groups.frozen(self.step, self.config.steps);
        (!groups.is_empty()).then(|| {
            let model = self.model().clone();
            (groups.into_iter()).fold(model, |model, group| model.freeze_group(group))
        })
    }

    /// Seeds the device for this step. Returns the running statistics, to be restored if the step is skipped.
    fn begin_step(&self, seed: u64) -> ParamValues {
        if let Some(device) = self.model().devices().first() {
            device.seed(step_seed(seed, self.step));
        }
        ParamValues::collect(&self.model().valid(), "running_")
    }

    /// Sums the gradients in the order of the batches, checks and clips them, and updates the weights; or skips the
    /// step. Reads from the device once, if nothing is wrong.
    fn apply<T>(
        &mut self,
        statistics: ParamValues,
        batches: Vec<BatchGrads<T>>,
    ) -> Result<StepOutcome<T>, TrainError> {
        let schedule = &self.config.schedule;
        let lr_factor = schedule.lr_factor(self.step, self.config.steps);
        let learning_rate = self.config.optimizer.learning_rate * lr_factor;
        self.step += 1;
        let (mut batch_grads, mut values, mut outputs) = (vec![], vec![], vec![]);
        for batch in batches {
            batch_grads.push(batch.grads);
            values.push((batch.names, batch.values));
            outputs.push(batch.output);
        }
        let (grads, reasons) = usable_grads(batch_grads);
        let mut grads = self.sum_grads(grads);
        let values = StepValues {
            batches: values,
            norm: norm_on_device(self.model(), &grads),
        };
        let max_norm = self.config.optimizer.clip_norm as f32;
        let deferred = match self.defers_reads {
            true => values.deferred(max_norm),
            false => None,
        };
        let is_updated = deferred.is_some();
        if let Some(deferred) = deferred {
            let clones = clone_grads(self.model(), &grads);
            self.grad_scale.set(Scale::Deferred(Box::new(deferred)));
            self.update(lr_factor, std::mem::replace(&mut grads, clones));
        }
        let values = values.read();
        let not_finite = values.skip_reason(&reasons);
        if let Some((batch, _)) = &not_finite
            && !self.config.data_parallel_halves
        {
            outputs.truncate(batch + 1);
        }
        let grad_norm = match not_finite {
            Some(_) => 0.0,
            None => values.norm,
        };
        let no_gradient = reasons.into_iter().flatten().next();
        let reason = not_finite.map(|(_, reason)| reason);
        let reason = reason.or_else(|| no_gradient.filter(|_| grads.is_empty()));
        let reason = reason.or_else(|| self.norm_reason(grad_norm, &grads));
        let report = StepReport {
            grad_norm,
            learning_rate,
            skipped: reason,
        };
        let outputs = outputs.into_iter().zip(values.batches).collect();
        if let Some(reason) = &report.skipped {
            if is_updated {
                self.grad_scale.set(Scale::Undo);
                self.update(lr_factor, grads);
            }
            self.skip(statistics, reason)?;
            return Ok((report, outputs));
        }
        self.skipped_in_row = 0;
        if !is_updated {
            self.grad_scale.clip(grad_norm, max_norm);
            self.update(lr_factor, grads);
        }
        if let (Some(ema), Some(model)) = (&mut self.ema, &self.model) {
            ema.update(model);
        }
        Ok((report, outputs))
    }

    /// Names the first gradient that is not finite, if the norm is not.
    fn norm_reason(&self, norm: f32, grads: &GradientsParams) -> Option<SkipReason> {
        if norm.is_finite() {
            return None;
        }
        let mut norms = param_norms(self.model(), grads).into_iter();
        let bad = norms.find(|(_, norm)| !norm.is_finite());
        let name = bad.map_or_else(|| "the sum of all gradients".into(), |(name, _)| name);
        let text = format!("the gradient of {name} is not finite");
        Some(SkipReason::NotFinite(text))
    }

    /// Updates the weights, as the gradients' scale says.
    fn update(&mut self, lr_factor: f64, grads: GradientsParams) {
        let learning_rates = self.groups.learning_rates(lr_factor);
        let model = self.model.take();
        self.model = model.map(|model| self.optimizer.step(learning_rates, model, grads));
    }

    fn sum_grads(&self, mut batch_grads: Vec<GradientsParams>) -> GradientsParams {
        if batch_grads.len() == 1 {
            return batch_grads.remove(0);
        }
        let mut sum = GradientsAccumulator::new();
        for grads in batch_grads {
            sum.accumulate(self.model(), grads);
        }
        sum.grads()
    }

    /// Counts a skipped step and restores the running statistics.
    fn skip(&mut self, statistics: ParamValues, reason: &SkipReason) -> Result<(), TrainError> {
        self.skipped += 1;
        if !statistics.is_empty() {
            // `valid` merges the statistics of the last forward pass, which are then replaced.
            self.model().valid();
            self.model = Some(statistics.restore(self.model().clone()));
        }
        let SkipReason::NotFinite(reason) = reason else {
            return Ok(());
        };
        self.skipped_in_row += 1;
        if self.skipped_in_row >= self.config.max_skipped.max(1) {
            return Err(TrainError::Diverged {
                step: self.step,
                count: self.skipped_in_row,
                reason: reason.clone(),
            });
        }
        Ok(())
    }
}

/// Gradients of the batches that have some, none if one is not finite, and why each other has none.
fn usable_grads(
    batch_grads: Vec<Result<GradientsParams, SkipReason>>,
) -> (Vec<GradientsParams>, Vec<Option<SkipReason>>) {
    let (mut usable, mut reasons) = (vec![], vec![]);
    for grads in batch_grads {
        let reason = grads.map(|grads| usable.push(grads)).err();
        reasons.push(reason);
    }
    if (reasons.iter().flatten()).any(|reason| matches!(reason, SkipReason::NotFinite(_))) {
        usable.clear();
    }
    (usable, reasons)
}

/// A batch with the gradients of its loss, divided by the number of accumulated batches.
fn backward<M: Module, T>(batch: BatchLoss<T>, model: &M, accumulate: usize) -> BatchGrads<T> {
    let grads = |loss: Tensor<1>| {
        if loss.is_tracked() {
            let loss = loss.div_scalar(accumulate as f64);
            let grads = GradientsParams::from_grads(loss.backward(), model);
            if !grads.is_empty() {
                return Ok(grads);
            }
        }
        let reason = match has_trained_param(model) {
            true => "the batch has nothing to predict: no loss has a gradient",
            false => "every parameter is frozen: no loss has a gradient",
        };
        Err(SkipReason::NoGradient(reason.into()))
    };
    BatchGrads {
        grads: batch.loss.and_then(grads),
        names: batch.names,
        values: batch.values,
        output: batch.output,
    }
}

/// Hash of seed and step (SplitMix64).
fn step_seed(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
