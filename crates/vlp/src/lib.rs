#![doc = include_str!("../README.md")]

pub mod adopt;
mod beside;
pub mod build;
pub mod codebook;
pub mod config;
pub mod data;
pub mod data_page;
pub mod device;
pub mod error;
pub mod evaluate;
mod losses;
pub mod portable;
pub mod predict;
pub mod pretrain;
pub mod progress;
pub mod report;
pub mod results;
pub mod retrieve;
pub mod run;
pub mod source;
pub mod trained;
pub mod weights;

pub use config::RunConfig;
pub use data::Datasets;
pub use error::VlpError;
pub use predict::Vlp;
pub use pretrain::{PretrainOptions, RunChoice, pretrain, pretrain_with};
pub use report::View;
pub use results::Results;
pub use trained::Trained;
