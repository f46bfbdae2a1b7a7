//! Errors of the program and its library.

use std::path::PathBuf;

use vlp_data::DataError;
use vlp_draw::DrawError;
use vlp_models::ModelError;
use vlp_objectives::ObjectiveError;
use vlp_text::TextError;
use vlp_train::TrainError;

/// Anything that can stop a run.
#[derive(Debug, thiserror::Error)]
pub enum VlpError {
    /// A configuration that cannot be used.
    #[error("{0}")]
    Config(String),
    /// A device that cannot be had.
    #[error("device {name}: {reason}")]
    Device {
        /// The name asked for.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// A run folder that is in the way, or is not a run.
    #[error("{path}: {reason}")]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what would do.
        reason: String,
    },
    /// A file of a run could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Reading data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Word pieces.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Building the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An objective.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// Training and checkpoints.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Weights of another project, or their export.
    #[error(transparent)]
    Weights(Box<vlp_weights::WeightsError>),
    /// Result files and their scores.
    #[error(transparent)]
    Results(Box<vlp_eval::results::FileError>),
    /// Drawing the report.
    #[error("report: {0}")]
    Draw(#[from] DrawError),
}

impl VlpError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

impl From<vlp_weights::WeightsError> for VlpError {
    fn from(error: vlp_weights::WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

impl From<vlp_eval::results::FileError> for VlpError {
    fn from(error: vlp_eval::results::FileError) -> Self {
        Self::Results(Box::new(error))
    }
}
