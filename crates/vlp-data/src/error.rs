use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What can go wrong between a file and a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder that should be there is not.
    #[error("{}: {reason}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What was looked for there.
        reason: String,
    },
    /// A shard, or the place of a set of shards, could not be read.
    #[error("{source}")]
    Store {
        /// The store's reason, which names the shard or the place.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An annotation file is not what its format says.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The place in it and what would be right.
        reason: String,
    },
    /// A picture is truncated, corrupt or of an unknown kind.
    #[error("picture {name}: {reason}")]
    Decode {
        /// The picture's file or name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture is outside the limits; it was not decoded.
    #[error("picture {name}: {reason}")]
    Limit {
        /// The picture's file or name.
        name: String,
        /// Its size and the limit.
        reason: String,
    },
    /// A configuration value makes no sense.
    #[error("{field}: {reason}")]
    Config {
        /// The field, with the name of its structure.
        field: &'static str,
        /// Its value and what would be right.
        reason: String,
    },
    /// A sample number outside the source.
    #[error("{name}: no sample {index}, it has {len}")]
    Index {
        /// The source.
        name: String,
        /// The number asked for, from 0.
        index: usize,
        /// The source's length.
        len: usize,
    },
    /// Too many samples could not be loaded.
    #[error(
        "{bad} of {seen} samples could not be loaded, more than the share {share} allowed; the last: {last}"
    )]
    TooManyBad {
        /// Samples skipped so far.
        bad: u64,
        /// Samples asked for so far.
        seen: u64,
        /// The share allowed.
        share: f64,
        /// The last fault.
        last: Fault,
    },
    /// A loader's thread ended out of order.
    #[error("loader: {0}")]
    Worker(String),
}

impl DataError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// A record left out, and why: nothing is dropped in silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Name of the source.
    pub source: String,
    /// The file the record stands in, or the picture's file.
    pub file: String,
    /// The record: image id, annotation id or sample number.
    pub record: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {}: {}",
            self.source, self.file, self.record, self.reason
        )
    }
}
