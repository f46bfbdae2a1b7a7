//! Errors of result files and annotations.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::EvalError;

/// A result or annotation file that cannot be read, written or scored.
///
/// Record indices count from 0, lines from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file could not be opened or read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("{}: cannot be written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A record that is not valid JSON or lacks a field.
    #[error("{}: record {index}: {reason}; expected {expected}", file.display())]
    BadRecord {
        /// The file.
        file: PathBuf,
        /// Index of the record.
        index: usize,
        /// The JSON error with its position.
        reason: String,
        /// The expected format.
        expected: &'static str,
    },
    /// A line with a wrong format.
    #[error("{}: line {line}: {text:?}; expected {expected}", file.display())]
    BadLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its text.
        text: String,
        /// The expected format.
        expected: &'static str,
    },
    /// Two records with the same id.
    #[error("{}: record {index}: {id} is also the id of record {first}; expected one record for each id", file.display())]
    Duplicate {
        /// The file.
        file: PathBuf,
        /// Index of the second record.
        index: usize,
        /// Index of the first record.
        first: usize,
        /// The id, such as `question 262148000`.
        id: String,
    },
    /// A record with an id that is not in the annotations.
    #[error("{}: record {index}: {id} is not among the {expected} ids of the annotations: is this file for another split?", file.display())]
    UnknownId {
        /// The file.
        file: PathBuf,
        /// Index of the record.
        index: usize,
        /// The id.
        id: String,
        /// Number of ids in the annotations.
        expected: usize,
    },
    /// Ids without a record.
    #[error("{}: {count} of {expected} ids have no record, the first is {id}; expected one record for each", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// The first one.
        id: String,
        /// Number of ids without a record.
        count: usize,
        /// Number of ids in the annotations.
        expected: usize,
    },
    /// A score that is NaN or infinite.
    #[error("{}: record {index} (image {image_id}): score is {score}; expected a finite number", file.display())]
    BadScore {
        /// The file.
        file: PathBuf,
        /// Index of the record.
        index: usize,
        /// Its image.
        image_id: u64,
        /// The score.
        score: f64,
    },
    /// A box with a coordinate that is not finite, or a width or height below 0.
    #[error("{}: record {index} (image {image_id}): box {bbox:?} {problem}; expected [x, y, width, height] in pixels with width and height not below 0", file.display())]
    BadBox {
        /// The file.
        file: PathBuf,
        /// Index of the record.
        index: usize,
        /// Its image.
        image_id: u64,
        /// The box.
        bbox: [f64; 4],
        /// What is wrong with the box.
        problem: String,
    },
    /// Records that cannot be scored.
    #[error("{}: {source}", file.display())]
    Score {
        /// The result file.
        file: PathBuf,
        /// The error of the metric.
        source: EvalError,
    },
}

/// Adds the file to an error of a metric.
pub(super) fn with_file<T>(file: &Path, result: Result<T, EvalError>) -> Result<T, FileError> {
    result.map_err(|source| FileError::Score {
        file: file.to_owned(),
        source,
    })
}
