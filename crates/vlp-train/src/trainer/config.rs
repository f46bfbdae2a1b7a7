use getset::WithSetters;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::grad_scale::GradScale;
use crate::optimizer::OptimizerConfig;
use crate::precision::Precision;
use crate::schedule::ScheduleConfig;

/// Configuration of a [`Trainer`](super::Trainer).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct TrainerConfig {
    /// Optimizer steps of the whole run.
    pub steps: u64,
    /// Batches whose gradients are averaged into one step; 1 for no accumulation.
    pub accumulate: usize,
    /// Run the two accumulated batches concurrently, each on half of the threads, which is faster on a CPU. Each has
    /// its own batch statistics, as with two devices. Needs `accumulate` = 2 and no dropout.
    #[serde(default)]
    pub data_parallel_halves: bool,
    /// Precision of matrix multiplications and convolutions; the papers do not give theirs.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Record training steps on a GPU and replay them (CUDA graphs), one graph for each shape of a batch: the CPU launches a
    /// graph instead of thousands of kernels. Results do not change. Steps that cannot be recorded run without a graph, and
    /// a message says why. Off by default, as it has not been measured on a GPU.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capture: bool,
    /// Learning rates, weight decay and clipping.
    pub optimizer: OptimizerConfig,
    /// Warm-up and decay of the learning rates.
    pub schedule: ScheduleConfig,
    /// Decay of the exponential moving average of the weights, in `0..1`, which replaces them in evaluation; 0 for none.
    pub ema_decay: f64,
    /// Training stops after this many consecutive steps with a loss or gradient that is not finite; 0 is treated as 1. Steps
    /// without a gradient neither count nor reset the count.
    pub max_skipped: u32,
}

impl TrainerConfig {
    /// `steps` steps with E2E-VLP's constant learning rate, without accumulation or moving average.
    pub fn new(steps: u64) -> Self {
        Self {
            steps,
            accumulate: 1,
            data_parallel_halves: false,
            precision: Precision::F32,
            capture: false,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            ema_decay: 0.0,
            max_skipped: 20,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a value out of range.
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
        if self.data_parallel_halves && self.accumulate != 2 {
            let hint = "train.data_parallel_halves needs exactly two batches: use 2, or disable it";
            return fail("accumulate", self.accumulate.to_string(), hint);
        }
        if !(0.0..1.0).contains(&self.ema_decay) {
            return fail(
                "ema_decay",
                self.ema_decay.to_string(),
                "use 0 for none, or a number below 1, such as 0.999",
            );
        }
        self.optimizer.validate()?;
        self.schedule.validate()?;
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

    /// Checks that each of `count` processes has at least one micro-batch in every step.
    ///
    /// # Errors
    /// [`TrainError::Config`] if there are more processes than micro-batches.
    pub fn check_processes(&self, count: usize) -> Result<(), TrainError> {
        if count <= self.accumulate {
            return Ok(());
        }
        Err(TrainError::Config {
            key: "accumulate".into(),
            value: self.accumulate.to_string(),
            hint: format!(
                "{count} processes need at least {count} micro-batches per step: raise it and lower data.batch_size, or start fewer processes"
            ),
        })
    }
}
