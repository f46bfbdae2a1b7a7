//! One optimizer step at a time: accumulate, check, clip, update, average.

mod config;
mod resume;

use std::fmt;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::prelude::*;

use crate::ema::Ema;
use crate::error::TrainError;
use crate::grads::{GradScale, global_norm, has_trained_param, param_norms};
use crate::param_values::ParamValues;
pub use config::TrainerConfig;
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

/// A module in training.
pub struct Trainer<M: Module> {
    /// `None` only while the optimizer updates it: in-place updates need the sole reference.
    model: Option<M>,
    config: TrainerConfig,
    optimizer: ModuleOptimizer,
    grad_scale: GradScale,
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
    /// [`TrainError::Config`] for a value out of range.
    pub fn new(model: M, config: TrainerConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let grad_scale = GradScale::default();
        let optimizer = config.optimizer.init(&grad_scale)?;
        let ema = (config.ema_decay > 0.0).then(|| Ema::new(&model, config.ema_decay));
        Ok(Self {
            model: Some(model),
            config,
            optimizer,
            grad_scale,
            ema,
            step: 0,
            skipped: 0,
            skipped_in_row: 0,
        })
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
        let statistics = self.begin_step(seed);
        let model = self.with_frozen_groups()?;
        let mut batch_grads = vec![];
        for index in 0..self.config.accumulate {
            let loss = loss(&model, index)?;
            let grads = loss.and_then(|loss| backward(loss, &model, self.config.accumulate));
            let is_last = matches!(grads, Err(SkipReason::NotFinite(_)));
            batch_grads.push(grads);
            if is_last {
                break;
            }
        }
        drop(model);
        Ok(self.apply(statistics, batch_grads)?)
    }

    /// As [`Self::step`], where `loss` also returns a value of each batch; these are returned in the order of the
    /// batches. With [`TrainerConfig::data_parallel_halves`] the batches run concurrently.
    ///
    /// # Errors
    /// Those of `loss`, and [`TrainError::Diverged`].
    pub fn step_with_outputs<E: From<TrainError> + Send, T: Send>(
        &mut self,
        seed: u64,
        loss: impl Fn(&M, usize) -> Result<(Result<Tensor<1>, SkipReason>, T), E> + Sync,
    ) -> Result<(StepReport, Vec<T>), E> {
        let mut outputs = vec![];
        if !self.config.data_parallel_halves {
            let report = self.step(seed, |model, index| -> Result<_, E> {
                let (loss, output) = loss(model, index)?;
                outputs.push(output);
                Ok(loss)
            })?;
            return Ok((report, outputs));
        }
        let statistics = self.begin_step(seed);
        let devices = self.model().devices();
        let model = self.with_frozen_groups()?;
        // A fork has its own autodiff graph; its parameters keep their ids.
        let fork = || match devices.first() {
            Some(device) => model.clone().fork(device),
            None => model.clone(),
        };
        let accumulate = self.config.accumulate;
        let batch = |model: M, index: usize| -> Result<_, E> {
            let (loss, output) = loss(&model, index)?;
            let grads = loss.and_then(|loss| backward(loss, &model, accumulate));
            Ok((grads, output))
        };
        let (first, second) = (fork(), fork());
        let (first, second) = vlp_ops::run_concurrently(|| batch(first, 0), || batch(second, 1));
        drop(model);
        let mut batch_grads = vec![];
        for result in [first, second] {
            let (grads, output) = result?;
            outputs.push(output);
            batch_grads.push(grads);
        }
        Ok((self.apply(statistics, batch_grads)?, outputs))
    }

    /// The module with the groups frozen that are frozen at this step.
    fn with_frozen_groups(&self) -> Result<M, TrainError> {
        let optimizer = &self.config.optimizer;
        let groups = optimizer.frozen_groups(self.step, self.config.steps)?;
        let model = self.model().clone();
        Ok(groups
            .into_iter()
            .fold(model, |model, group| model.freeze_group(group)))
    }

    /// Seeds the device for this step. Returns the running statistics, to be restored if the step is skipped.
    fn begin_step(&self, seed: u64) -> ParamValues {
        if let Some(device) = self.model().devices().first() {
            device.seed(step_seed(seed, self.step));
        }
        ParamValues::collect(&self.model().valid(), "running_")
    }

    /// Sums the gradients in the order of the batches, checks and clips them, and updates the weights; or skips the
    /// step.
    fn apply(
        &mut self,
        statistics: ParamValues,
        batch_grads: Vec<Result<GradientsParams, SkipReason>>,
    ) -> Result<StepReport, TrainError> {
        let schedule = &self.config.schedule;
        let lr_factor = schedule.lr_factor(self.step, self.config.steps);
        let learning_rate = self.config.optimizer.learning_rate * lr_factor;
        self.step += 1;
        let (grads, mut reason) = usable_grads(batch_grads);
        let grads = self.sum_grads(grads);
        let grad_norm = global_norm(self.model(), &grads);
        if reason.is_none() && !grad_norm.is_finite() {
            let bad = param_norms(self.model(), &grads)
                .into_iter()
                .find(|(_, norm)| !norm.is_finite());
            let name = bad.map_or_else(|| "the sum of all gradients".into(), |(name, _)| name);
            let text = format!("the gradient of {name} is not finite");
            reason = Some(SkipReason::NotFinite(text));
        }
        if let Some(reason) = reason {
            self.skip(statistics, &reason)?;
            return Ok(StepReport {
                grad_norm,
                learning_rate,
                skipped: Some(reason),
            });
        }
        self.skipped_in_row = 0;
        let max_norm = self.config.optimizer.clip_norm as f32;
        self.grad_scale.clip(grad_norm, max_norm);
        let learning_rates = self.config.optimizer.learning_rates(lr_factor)?;
        if let Some(model) = self.model.take() {
            let model = self.optimizer.step(learning_rates, model, grads);
            if let Some(ema) = &mut self.ema {
                ema.update(&model);
            }
            self.model = Some(model);
        }
        Ok(StepReport {
            grad_norm,
            learning_rate,
            skipped: None,
        })
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

/// Gradients of the batches that have some, or why the step is skipped.
fn usable_grads(
    batch_grads: Vec<Result<GradientsParams, SkipReason>>,
) -> (Vec<GradientsParams>, Option<SkipReason>) {
    let (mut usable, mut no_gradient) = (vec![], None);
    for grads in batch_grads {
        match grads {
            Ok(grads) => usable.push(grads),
            Err(reason @ SkipReason::NotFinite(_)) => return (vec![], Some(reason)),
            Err(reason) => no_gradient = no_gradient.or(Some(reason)),
        }
    }
    let reason = no_gradient.filter(|_| usable.is_empty());
    (usable, reason)
}

/// Gradients of one of `accumulate` batches, divided by their number.
fn backward<M: Module>(
    loss: Tensor<1>,
    model: &M,
    accumulate: usize,
) -> Result<GradientsParams, SkipReason> {
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
}

/// Hash of seed and step (SplitMix64).
fn step_seed(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
