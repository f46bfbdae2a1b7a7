//! Errors of the program and its library.

use std::path::PathBuf;

use vlp_data::DataError;
use vlp_draw::DrawError;
use vlp_models::ModelError;
use vlp_objectives::ObjectiveError;
use vlp_text::TextError;
use vlp_train::TrainError;

use crate::format::quoted;

/// Errors of the program and its library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VlpError {
    /// An invalid configuration or command line.
    #[error("{0}")]
    Config(String),
    /// A device that is not available.
    #[error("device {name}: {reason}")]
    Device {
        /// Name of the device.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// A run folder that exists already, is not a run, or was written by an older version.
    #[error("{path}: {reason}")]
    RunFolder {
        /// The folder, or a file in it.
        path: PathBuf,
        /// The problem, and a remedy.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Reading data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tokenizer.
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
    /// Checkpoints of other projects, and exported weights.
    #[error(transparent)]
    Weights(Box<vlp_weights::WeightsError>),
    /// An index of embeddings.
    #[error("{0}{hint}", hint = index_hint(.0))]
    Index(#[from] vlp_index::IndexError),
    /// Result files.
    #[error(transparent)]
    Results(Box<vlp_eval::results::FileError>),
    /// Training that ended early because [`TrainOptions::stop`](crate::train::TrainOptions::stop) was set.
    #[error("stopped after step {step}, which is saved; resume with: vlp pretrain --resume {}", quoted(.path))]
    Stopped {
        /// Steps done.
        step: u64,
        /// The run folder.
        path: PathBuf,
    },
    /// An evaluation that ended early because the process was asked to stop.
    #[error("stopped during an evaluation")]
    Interrupted,
    /// The error of another process that trains the same model.
    #[error("rank {rank}: {reason}")]
    Rank {
        /// The process.
        rank: usize,
        /// Its error.
        reason: String,
    },
    /// Processes whose weights have become different.
    #[error(
        "step {step}: the weights of rank {} differ from rank 0's; use machines of one kind, and resume from the last checkpoint",
        .ranks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
    )]
    Replicas {
        /// The step.
        step: u64,
        /// The processes.
        ranks: Vec<usize>,
    },
    /// Processes that were started together but cannot be joined.
    #[error(transparent)]
    Launch(#[from] vlp_distributed::LaunchError),
    /// Serving runs over HTTP.
    #[error(transparent)]
    Serve(#[from] vlp_serve::ServeError),
    /// Rendering an HTML page.
    #[error("report: {0}")]
    Draw(#[from] DrawError),
}

impl VlpError {
    /// [`VlpError::Io`] for a file, to map the system's error.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// What to do with the command line about an error of an index.
fn index_hint(error: &vlp_index::IndexError) -> &'static str {
    match error {
        vlp_index::IndexError::Incomplete { .. } => {
            "; run the same vlp index command again to resume it"
        }
        vlp_index::IndexError::Missing { .. } => "; vlp index RUN SOURCE writes one",
        _ => "",
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
