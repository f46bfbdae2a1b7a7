#![doc = include_str!("../README.md")]

mod adamw;
pub mod atomic_file;
pub mod checkpoint;
pub mod ema;
pub mod error;
pub mod events;
pub mod grads;
pub mod log;
pub mod optimizer;
mod param_values;
pub mod schedule;
mod serialize;
mod sgd;
pub mod trainer;

pub use checkpoint::{Checkpoint, CheckpointScore, CheckpointStore, CheckpointWriter, TrainState};
pub use error::TrainError;
pub use log::RunLog;
pub use optimizer::{GroupConfig, MomentDtype, OptimizerConfig, OptimizerKind};
pub use schedule::{Decay, ScheduleConfig};
pub use trainer::{SkipReason, StepReport, Trainer, TrainerConfig};
