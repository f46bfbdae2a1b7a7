//! The folder of a run: configuration, checkpoints, log, results, and the model in it.

mod class_heads;
mod fingerprint;
mod folder;
mod hf_export;
mod hf_folder;
mod init_from_run;
pub(crate) mod log_keys;
mod results;
mod trained;

pub use folder::{RunFolder, RunLock};
pub use hf_export::export;
pub(crate) use hf_folder::is_hf_folder;
pub use hf_folder::run_config;
pub use init_from_run::{Initialized, init_from_run};
pub use results::Results;
pub use trained::TrainedModel;
