#![doc = include_str!("../README.md")]

mod adamw;
pub mod checkpoint;
pub mod ema;
pub mod error;
pub mod events;
pub mod files;
pub mod grads;
pub mod log;
pub mod optimizer;
pub mod schedule;
mod sgd;
pub mod trainer;

mod record;
mod values;

pub use checkpoint::{Checkpoint, CheckpointStore, TrainState};
pub use error::TrainError;
pub use log::RunLog;
pub use optimizer::{GroupConfig, MomentType, OptimizerConfig, OptimizerKind};
pub use schedule::{Decay, ScheduleConfig};
pub use trainer::{StepReport, Trainer, TrainerConfig};
