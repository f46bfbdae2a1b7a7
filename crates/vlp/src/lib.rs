#![doc = include_str!("../README.md")]

pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod eval;
pub mod format;
pub mod model;
pub mod predict;
mod processes;
pub mod report;
pub mod run;
pub mod search;
pub mod serve;
pub mod train;
pub mod weights;

pub use config::RunConfig;
pub use data::Datasets;
pub use error::VlpError;
pub use predict::Predictor;
pub use run::{Results, TrainedModel};
pub use train::{RunChoice, TrainOptions, train, train_with};
