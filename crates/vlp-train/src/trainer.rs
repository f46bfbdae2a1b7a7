//! One optimiser step at a time: accumulate, check, clip, update, average.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, TrainState};
use crate::ema::Ema;
use crate::error::TrainError;
use crate::grads::{GradScale, global_norm, norms};
use crate::optimizer::OptimizerConfig;
use crate::record::{module_bytes, optimizer_bytes};
use crate::schedule::ScheduleConfig;
use crate::values::Values;

/// Configuration of a [`Trainer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerConfig {
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// Batches whose gradients are averaged into one step; 1 for none.
    pub accumulate: usize,
    /// Run the two accumulated batches side by side, each on half of the threads: faster on a CPU.
    /// Each keeps its own batch statistics, as with two devices. Needs `accumulate` = 2 and no dropout.
    #[serde(default)]
    pub side_by_side: bool,
    /// Rates, decay, clipping.
    pub optimizer: OptimizerConfig,
    /// Warm-up and decay of the rates.
    pub schedule: ScheduleConfig,
    /// Decay of the moving average of the weights, which then is evaluated and shipped; 0 for none.
    pub ema_decay: f64,
    /// Skipped steps in a row after which training stops.
    pub max_skipped: u32,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Global gradient norm before clipping.
    pub grad_norm: f32,
    /// Factor of the schedule.
    pub rate_factor: f64,
    /// Why the step changed nothing, if so.
    pub skipped: Option<String>,
}

/// A module in training.
pub struct Trainer<M: Module> {
    /// Taken out only while the optimiser has it, which writes in place what nothing else holds.
    model: Option<M>,
    config: TrainerConfig,
    optimizer: ModuleOptimizer,
    grad_scale: GradScale,
    ema: Option<Ema<M>>,
    step: u64,
    skipped: u64,
    skipped_in_row: u32,
}

impl TrainerConfig {
    /// `steps` steps at E2E-VLP's constant rates, without accumulation or average.
    pub fn new(steps: u64) -> Self {
        Self {
            steps,
            accumulate: 1,
            side_by_side: false,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            ema_decay: 0.0,
            max_skipped: 20,
        }
    }

    /// Says what is wrong with impossible values.
    pub fn validate(&self) -> Result<(), TrainError> {
        let fail = |key: &str, value: String, hint: &str| {
            Err(TrainError::Config {
                key: key.into(),
                value,
                hint: hint.into(),
            })
        };
        if self.steps == 0 {
            return fail("steps", "0".into(), "use at least 1");
        }
        if self.accumulate == 0 {
            return fail("accumulate", "0".into(), "use 1 for no accumulation");
        }
        if self.side_by_side && self.accumulate != 2 {
            let hint = "train.side_by_side runs exactly two batches: use 2, or switch it off";
            return fail("accumulate", self.accumulate.to_string(), hint);
        }
        if !(0.0..1.0).contains(&self.ema_decay) {
            return fail(
                "ema_decay",
                self.ema_decay.to_string(),
                "use 0 for none, or less than 1 (0.999, say)",
            );
        }
        self.optimizer.validate()?;
        self.optimizer.init(&GradScale::default())?;
        if self.schedule.warmup_steps > self.steps {
            return fail(
                "schedule.warmup_steps",
                self.schedule.warmup_steps.to_string(),
                "the warm-up is longer than the run: shorten it or raise train.steps",
            );
        }
        Ok(())
    }
}

impl<M: Module> Trainer<M> {
    /// Starts training `model` at step 0.
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
        // Missing only after a panic inside the optimiser.
        #[allow(clippy::expect_used)]
        self.model.as_ref().expect("the module is in its place")
    }

    /// Steps done, skipped ones included.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Steps that changed nothing because something was not finite.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The module to evaluate and ship: the moving average if there is one, without autodiff.
    pub fn shipped(&self) -> M {
        match &self.ema {
            Some(ema) => ema.average().valid(),
            None => self.model().valid(),
        }
    }

    /// One optimiser step. `loss` gives the loss `[1]` of each accumulated batch, or a reason to skip.
    ///
    /// The device's random stream (dropout) restarts from (seed, step), so that a resumed run draws
    /// what the unbroken one drew.
    pub fn step<E: From<TrainError>>(
        &mut self,
        seed: u64,
        mut loss: impl FnMut(&M, usize) -> Result<Result<Tensor<1>, String>, E>,
    ) -> Result<StepReport, E> {
        let statistics = self.begin(seed);
        let model = self.in_motion()?;
        let mut found = vec![];
        for micro in 0..self.config.accumulate {
            let own = loss(&model, micro)?;
            let skip = own.is_err();
            found.push(own.map(|value| gradients(value, &model, &self.config)));
            if skip {
                break;
            }
        }
        drop(model);
        Ok(self.apply(statistics, found)?)
    }

    /// As [`Self::step`], with half of the threads for each accumulated batch where the configuration says
    /// `side_by_side`. What `loss` gives beside the loss comes back in the order of the batches.
    pub fn step_side_by_side<E: From<TrainError> + Send, T: Send>(
        &mut self,
        seed: u64,
        loss: impl Fn(&M, usize) -> Result<(Result<Tensor<1>, String>, T), E> + Sync,
    ) -> Result<(StepReport, Vec<T>), E> {
        let mut beside = vec![];
        if !self.config.side_by_side {
            let report = self.step(seed, |model, micro| -> Result<_, E> {
                let (value, more) = loss(model, micro)?;
                beside.push(more);
                Ok(value)
            })?;
            return Ok((report, beside));
        }
        let statistics = self.begin(seed);
        let devices = self.model().devices();
        let config = &self.config;
        let moving = self.in_motion()?;
        // A fork has a graph of its own; its parameters keep their identity.
        let fork = || match devices.first() {
            Some(device) => moving.clone().fork(device),
            None => moving.clone(),
        };
        let batch = |model: M, micro: usize| -> Result<_, E> {
            let (value, more) = loss(&model, micro)?;
            Ok((value.map(|v| gradients(v, &model, config)), more))
        };
        let (first, second) = (fork(), fork());
        let (first, second) = vlp_ops::side_by_side(|| batch(first, 0), || batch(second, 1));
        drop(moving);
        let mut found = vec![];
        for result in [first, second] {
            let (own, more) = result?;
            beside.push(more);
            found.push(own);
        }
        Ok((self.apply(statistics, found)?, beside))
    }

    /// The module with what stands still at this step frozen.
    fn in_motion(&self) -> Result<M, TrainError> {
        let still = self.config.optimizer.frozen(self.step, self.config.steps)?;
        let model = self.model().clone();
        Ok(still
            .into_iter()
            .fold(model, |model, group| model.freeze_group(group)))
    }

    /// Seeds the step; returns the running statistics, which a step that is skipped must not change.
    fn begin(&self, seed: u64) -> Values {
        if let Some(device) = self.model().devices().first() {
            device.seed(mix(seed, self.step));
        }
        Values::collect(&self.model().valid(), "running_")
    }

    /// Sums the gradients in their order, checks and clips them, and updates the weights; a batch that gave
    /// a reason instead skips the step.
    fn apply(
        &mut self,
        statistics: Values,
        found: Vec<Result<GradientsParams, String>>,
    ) -> Result<StepReport, TrainError> {
        let rate_factor = self.config.schedule.factor(self.step, self.config.steps);
        self.step += 1;
        let (mut all, mut reason) = match found.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(all) => (all, None),
            Err(reason) => (vec![], Some(reason)),
        };
        let grads = match all.len() {
            1 => all.remove(0),
            _ => {
                let mut sum = GradientsAccumulator::new();
                all.into_iter()
                    .for_each(|own| sum.accumulate(self.model(), own));
                sum.grads()
            }
        };
        let grad_norm = global_norm(self.model(), &grads);
        if reason.is_none() && !grad_norm.is_finite() {
            let bad = norms(self.model(), &grads)
                .into_iter()
                .find(|(_, norm)| !norm.is_finite());
            let name = bad.map_or_else(|| "the sum of all gradients".into(), |(name, _)| name);
            reason = Some(format!("the gradient of {name} is not finite"));
        }
        if let Some(reason) = reason {
            self.skipped += 1;
            self.skipped_in_row += 1;
            if !statistics.is_empty() {
                // `valid` first takes the statistics of the last forward pass in, then they are replaced.
                self.model().valid();
                self.model = Some(statistics.restore(self.model().clone()));
            }
            if self.skipped_in_row >= self.config.max_skipped.max(1) {
                let (step, count) = (self.step, self.skipped_in_row);
                return Err(TrainError::Diverged {
                    step,
                    count,
                    reason,
                });
            }
            return Ok(StepReport {
                grad_norm,
                rate_factor,
                skipped: Some(reason),
            });
        }
        self.skipped_in_row = 0;
        let most = self.config.optimizer.clip_norm as f32;
        self.grad_scale.clip(grad_norm, most);
        let rates = self.config.optimizer.rates(rate_factor)?;
        if let Some(model) = self.model.take() {
            let model = self.optimizer.step(rates, model, grads);
            if let Some(ema) = &mut self.ema {
                ema.update(&model);
            }
            self.model = Some(model);
        }
        Ok(StepReport {
            grad_norm,
            rate_factor,
            skipped: None,
        })
    }
}

impl<M: Module> Trainer<M> {
    /// The files of a checkpoint: weights, optimiser state, moving average. Equal states give equal bytes.
    pub fn save(&self) -> Result<Vec<(&'static str, Vec<u8>)>, TrainError> {
        let named = |name: &'static str, bytes: Result<Vec<u8>, burn::store::RecordError>| {
            let encoded = bytes.map_err(|e| TrainError::Encode {
                name,
                reason: format!("{e:?}"),
            })?;
            Ok::<_, TrainError>((name, encoded))
        };
        let mut files = vec![
            named(MODEL, module_bytes(self.model().valid()))?,
            named(OPTIMIZER, optimizer_bytes(&self.optimizer))?,
        ];
        if let Some(ema) = &self.ema {
            files.push(named(EMA, module_bytes(ema.average().clone()))?);
        }
        Ok(files)
    }

    /// Where the run stands; `config` is a hash of what must not change.
    pub fn state(&self, config: &str) -> TrainState {
        TrainState {
            step: self.step,
            skipped: self.skipped,
            skipped_in_row: self.skipped_in_row,
            config: config.into(),
        }
    }

    /// Goes on exactly where `checkpoint` was saved. `self` must be new, of the same configuration.
    pub fn resume(mut self, checkpoint: &Checkpoint, config: &str) -> Result<Self, TrainError> {
        if checkpoint.state.config != config {
            return Err(TrainError::Mismatch {
                path: checkpoint.path.clone(),
                reason: "the hash of the configuration differs".into(),
            });
        }
        let mismatch = |e: burn::store::RecordError| TrainError::Mismatch {
            path: checkpoint.path.clone(),
            reason: format!("{e:?}"),
        };
        let model = load(self.model().clone(), checkpoint.file(MODEL)?).map_err(mismatch)?;
        self.model = Some(model);
        let optimizer = burn::tensor::Bytes::from_bytes_vec(checkpoint.file(OPTIMIZER)?.to_vec());
        self.optimizer = self.optimizer.from_bytes(optimizer).map_err(mismatch)?;
        if self.ema.is_some() {
            // Clones of a batch norm share its running statistics, `valid` copies them.
            let average = load(self.model().valid(), checkpoint.file(EMA)?).map_err(mismatch)?;
            self.ema = Some(Ema::resume(average, self.config.ema_decay));
        }
        let state = &checkpoint.state;
        (self.step, self.skipped, self.skipped_in_row) =
            (state.step, state.skipped, state.skipped_in_row);
        Ok(self)
    }
}

/// Name of the weights in a checkpoint.
pub const MODEL: &str = "model.bpk";
/// Name of the optimiser's state in a checkpoint.
pub const OPTIMIZER: &str = "optimizer.bpk";
/// Name of the moving average in a checkpoint.
pub const EMA: &str = "ema.bpk";

/// Puts saved weights into a module of the same shape.
pub fn load<M: Module>(module: M, bytes: &[u8]) -> Result<M, burn::store::RecordError> {
    let bytes = burn::tensor::Bytes::from_bytes_vec(bytes.to_vec());
    module.try_load_record(burn::store::ModuleRecord::from_bytes(bytes)?)
}

/// Gradients of one accumulated batch, which counts for its share of the step.
fn gradients<M: Module>(value: Tensor<1>, model: &M, config: &TrainerConfig) -> GradientsParams {
    let value = value.div_scalar(config.accumulate as f64);
    GradientsParams::from_grads(value.backward(), model)
}

/// SplitMix64 of two numbers.
fn mix(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
