//! What can go wrong with a request.

use std::path::PathBuf;

use vlp::VlpError;
use vlp_data::DataError;
use vlp_models::ModelError;
use vlp_objectives::ObjectiveError;
use vlp_text::TextError;
use vlp_train::TrainError;
use vlp_vision::VisionError;
use vlp_weights::WeightsError;

/// Told to the asker as it is displayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// A request that is no request.
    #[error("{0}")]
    Request(String),
    /// A tensor of an inputs file that is missing or not what the case takes.
    #[error("inputs: tensor {name:?} {reason}")]
    Input {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A step that changed nothing.
    #[error("the step was skipped: {0}")]
    Skipped(String),
    /// A fresh process that gave no answer.
    #[error("a fresh process: {0}")]
    Fresh(String),
    /// Runs of a case that never do the same.
    #[cfg(feature = "ledger")]
    #[error("no two of {0} runs in a row had the same kernels, blocks, uploads and reads")]
    Unsteady(usize),
    /// A GPU that gave up.
    #[error("the device: {0}")]
    Device(String),
    /// Configuration and model.
    #[error(transparent)]
    Vlp(#[from] VlpError),
    /// Weights.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// Images and their dictionary.
    #[error(transparent)]
    Vision(#[from] VisionError),
}

impl PeerError {
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

impl From<WeightsError> for PeerError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

macro_rules! through_vlp {
    ($($kind:ty),+) => {$(
        impl From<$kind> for PeerError {
            fn from(error: $kind) -> Self {
                Self::Vlp(error.into())
            }
        }
    )+};
}

through_vlp!(DataError, ModelError, ObjectiveError, TextError, TrainError);
