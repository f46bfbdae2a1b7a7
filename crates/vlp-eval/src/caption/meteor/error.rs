//! Errors of METEOR.

use std::path::PathBuf;

use thiserror::Error;

use crate::EvalError;

/// METEOR could not be computed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeteorError {
    /// Java could not be started.
    #[error("{java}: {source}; METEOR needs a Java runtime (apt-get install default-jre-headless)")]
    JavaNotStarted {
        /// The program.
        java: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The jar or its paraphrase table does not exist.
    #[error("{}: no such file; expected meteor-1.5.jar next to data/paraphrase-en.gz (pip install pycocoevalcap installs both)", file.display())]
    MissingFile {
        /// The missing file.
        file: PathBuf,
    },
    /// The process exited before it responded.
    #[error("METEOR exited before it responded: {stderr}")]
    Exited {
        /// The end of its standard error.
        stderr: String,
    },
    /// The process did not respond in time and was killed.
    #[error("METEOR did not respond within {seconds} s: {stderr}")]
    Timeout {
        /// The timeout.
        seconds: u64,
        /// The end of its standard error.
        stderr: String,
    },
    /// A response that is not a score, or not statistics.
    #[error("METEOR responded {response:?}: expected {expected}")]
    InvalidResponse {
        /// The response.
        response: String,
        /// The expected response.
        expected: &'static str,
    },
    /// Captions that cannot be scored.
    #[error(transparent)]
    Score(#[from] EvalError),
}
