//! What can go wrong in training and in its files.

use std::path::PathBuf;

/// A bad configuration, a training that went astray, or a file that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A configuration value that cannot work.
    #[error("train.{key} = {value}: {hint}")]
    Config {
        /// Name of the configuration key.
        key: String,
        /// The value given.
        value: String,
        /// What would do.
        hint: String,
    },
    /// Too many steps in a row had a loss or gradient that is not finite.
    #[error(
        "stopped at step {step}: {count} steps in a row were skipped, the last because {reason}; lower the learning rate or go back to a checkpoint"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// Skipped steps in a row.
        count: u32,
        /// What was not finite.
        reason: String,
    },
    /// Reading or writing failed; nothing that was saved before is lost.
    #[error("{path}: cannot {what}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Weights or optimiser state that cannot be written down.
    #[error("{name}: cannot be encoded: {reason}")]
    Encode {
        /// Name of the checkpoint's file.
        name: &'static str,
        /// burn's reason.
        reason: String,
    },
    /// A checkpoint whose bytes are not those that were saved.
    #[error("{path}: {reason}; use an earlier checkpoint")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint of another configuration.
    #[error(
        "{path}: saved with another configuration ({reason}); give the same configuration, or start a new run"
    )]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A folder without a readable checkpoint.
    #[error("{path}: no complete checkpoint here{detail}")]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// Why those that exist cannot be used.
        detail: String,
    },
}

impl TrainError {
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        what: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, what, source }
    }
}
