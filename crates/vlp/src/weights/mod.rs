//! Importing weights of other projects: ResNet, BERT, DETR and SOHO checkpoints.

mod hf_config;
mod import;
mod param_loader;

pub(crate) use hf_config::check_hf_config;
pub use import::{import, inspect};
pub(crate) use param_loader::ParamLoader;
