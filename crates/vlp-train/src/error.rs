//! Errors of training and of its files.

use std::path::PathBuf;

/// Error of a configuration, of training, or of a checkpoint or log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration value is out of range.
    #[error("train.{key} = {value}: {hint}")]
    Config {
        /// The configuration key, relative to `train`.
        key: String,
        /// The value.
        value: String,
        /// Which values are accepted.
        hint: String,
    },
    /// Too many consecutive steps had a loss or gradient that is not finite.
    #[error(
        "stopped at step {step}: {count} steps in a row were skipped, the last because {reason}; lower the learning rate or go back to a checkpoint"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// Number of consecutive skipped steps.
        count: u32,
        /// What was not finite.
        reason: String,
    },
    /// A recorded step could not be replayed, and the device may have lost the weights.
    #[error(
        "step {step}: the graph cannot be replayed ({reason}); resume from the last checkpoint, or with train.capture = false"
    )]
    Replay {
        /// The step.
        step: u64,
        /// The backend's error.
        reason: String,
    },
    /// Another process of the run failed.
    #[error("rank {rank}: {reason}")]
    Rank {
        /// Rank of the process.
        rank: usize,
        /// Its error.
        reason: String,
    },
    /// Reading or writing failed. Files saved earlier are unchanged.
    #[error("{path}: cannot {what}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation that failed.
        what: &'static str,
        /// The I/O error.
        source: std::io::Error,
    },
    /// Weights or optimizer state cannot be serialized.
    #[error("{name}: cannot be encoded: {reason}")]
    Encode {
        /// Name of the file in the checkpoint.
        name: &'static str,
        /// burn's error.
        reason: String,
    },
    /// A checkpoint is damaged.
    #[error("{path}: {reason}; use another checkpoint")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint has the format of another version of this crate.
    #[error(
        "written by {} version: {path} has checkpoint format {format}, this version reads format {supported}; use the version that wrote it, or train again",
        if .format < .supported { "an older" } else { "a newer" }
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its format number.
        format: u32,
        /// The format number of this version.
        supported: u32,
    },
    /// A checkpoint does not match the configuration or the model.
    #[error(
        "{path}: saved with another configuration ({reason}); use the same configuration, or start a new run"
    )]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Another process saves checkpoints to the folder.
    #[error(
        "{path}: another process saves checkpoints there; wait until it ends, or use another folder"
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has no intact checkpoint.
    #[error("{path}: no complete checkpoint here{detail}")]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// Errors of the checkpoints it has.
        detail: String,
    },
    /// There is no checkpoint of this step.
    #[error("{path}: no checkpoint of step {step}; steps with a checkpoint: {steps}")]
    NoStep {
        /// The folder.
        path: PathBuf,
        /// The requested step.
        step: u64,
        /// The available steps.
        steps: String,
    },
    /// The best checkpoint was requested, but none has a score.
    #[error("{path}: no checkpoint has a score; use the last one or a step")]
    NoScore {
        /// The folder.
        path: PathBuf,
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
