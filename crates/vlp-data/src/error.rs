use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Errors of reading, decoding and batching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A required file or folder does not exist.
    #[error("{}: {reason}", path.display())]
    Missing {
        /// The missing file, or the folder that was searched.
        path: PathBuf,
        /// What was searched for.
        reason: String,
    },
    /// A shard, its index, or the location of a set of shards, could not be read.
    #[error("{source}")]
    Store {
        /// The error, which names the file or the location.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An annotation file does not match its format.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The line or record, and what is expected there.
        reason: String,
    },
    /// An image is truncated, corrupt or of an unknown format.
    #[error("image {name}: {reason}")]
    Decode {
        /// File or name of the image.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An image is outside the limits; it was not decoded.
    #[error("image {name}: {reason}")]
    Limit {
        /// File or name of the image.
        name: String,
        /// Its size and the limit.
        reason: String,
    },
    /// An invalid configuration value.
    #[error("{field}: {reason}")]
    Config {
        /// The value, by its key in the configuration of `vlp` (`data.lanes`) or by its name in this crate (`resize`,
        /// `VqaFiles.questions`, `loader.accumulate`).
        field: &'static str,
        /// Its value and what is allowed.
        reason: String,
    },
    /// A sample index out of range.
    #[error("{name}: no sample {index}, it has {len}")]
    Index {
        /// Name of the source.
        name: String,
        /// The requested index.
        index: usize,
        /// The source's length.
        len: usize,
    },
    /// A source has more records than its index can number.
    #[error(
        "{name}: {count} {items}, more than the {max} of an index; split the files, or pack parts of them as shards, each of which has an index of its own"
    )]
    TooMany {
        /// Name of the source.
        name: String,
        /// The kind of item, such as `samples`.
        items: &'static str,
        /// Their number so far.
        count: usize,
        /// The largest number.
        max: usize,
    },
    /// Too many samples could not be loaded.
    #[error(
        "{skipped} of {requested} samples could not be loaded, more than the allowed fraction of {max_fraction}; the last: {last}"
    )]
    TooManySkipped {
        /// Samples skipped so far.
        skipped: u64,
        /// Samples requested so far, the skipped ones included.
        requested: u64,
        /// The allowed fraction of skipped samples.
        max_fraction: f64,
        /// The last skipped sample.
        last: SkippedRecord,
    },
    /// A loader thread could not be started, or panicked.
    #[error("loader: {0}")]
    Worker(String),
}

impl DataError {
    /// Wraps an I/O error with the path it concerns.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Whether a store of samples is at fault rather than one sample. Whoever skips samples that cannot be read stops at such
    /// an error: what was skipped would depend on when the store answered.
    pub fn is_of_store(&self) -> bool {
        matches!(self, Self::Store { .. })
    }

    /// As an error of a store, if it is none yet.
    pub(crate) fn of_store(self) -> Self {
        match self {
            Self::Store { .. } => self,
            error => Self::Store {
                source: Box::new(error),
            },
        }
    }
}

/// A record or sample that was skipped, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRecord {
    /// Name of the source.
    pub source: String,
    /// The annotation file or image file; empty if unknown.
    pub file: String,
    /// The record: image id, annotation id or sample index.
    pub record: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for SkippedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {}: {}",
            self.source, self.file, self.record, self.reason
        )
    }
}
