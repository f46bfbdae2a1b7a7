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
    /// A folder without an index.
    #[error("index {}: is not an index: it has no index.json", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A file of another version or other contents than were written.
    #[error("index {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// An index whose writing was interrupted.
    #[error("index {}: it is incomplete, with {done} of {samples} samples", path.display())]
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
    /// A row or a query that is not as long as the rows of the embeddings.
    #[error("an embedding of {actual} numbers; those of the index have {expected}")]
    Width {
        /// Length of the rows.
        expected: usize,
        /// Length of the row or query.
        actual: usize,
    },
}

impl IndexError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
