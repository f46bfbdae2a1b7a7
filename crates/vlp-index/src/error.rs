use std::path::PathBuf;

/// Errors of writing and reading an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A file that cannot be read or written.
    #[error("index {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A folder that is no index, or a file of another version or other contents than were written.
    #[error("index {}: {reason}", path.display())]
    Format {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// An index whose writing was interrupted.
    #[error(
        "index {}: it is incomplete, with {done} of {samples} samples; run the same vlp index command again to resume it",
        path.display()
    )]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// Samples that it has.
        done: usize,
        /// Samples of its source.
        samples: usize,
    },
    /// A folder that cannot be written to: it holds something else, or another process writes there.
    #[error("index {}: {reason}", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What is there, and a remedy.
        reason: String,
    },
    /// Embeddings or records that no index can hold.
    #[error("index {}: {reason}", path.display())]
    Segment {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl IndexError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
