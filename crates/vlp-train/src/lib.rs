#![doc = include_str!("../README.md")]

mod adamw;
mod adamw_rule;
pub mod atomic_file;
pub mod checkpoint;
mod ema;
pub mod error;
mod events;
pub mod grad_scale;
pub mod grads;
mod group_config;
pub mod log;
pub mod optimizer;
mod param_groups;
mod param_values;
mod placeholders;
mod precision;
mod schedule;
mod serialize;
mod sgd;
pub mod trainer;
mod update_list;

pub use adamw_rule::AdamWRule;
pub use checkpoint::{Checkpoint, CheckpointScore, CheckpointStore, CheckpointWriter, TrainState};
pub use error::TrainError;
pub use group_config::{GroupConfig, OptimizerKind};
pub use log::RunLog;
pub use optimizer::{MomentDtype, OptimizerConfig};
pub use precision::Precision;
pub use schedule::{Decay, ScheduleConfig};
pub use trainer::{
    BatchLoss, SkipReason, StepCaptureReport, StepInputs, StepOutcome, StepReport, Trainer,
    TrainerConfig,
};
