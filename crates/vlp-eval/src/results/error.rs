//! What can be wrong with a result file or its annotations.

use std::path::PathBuf;

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
        /// What the system said.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("{}: not written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record that is no JSON, or lacks a field.
    #[error("{}: record {index}: {reason}; expected {expected}", file.display())]
    BadRecord {
        /// The file.
        file: PathBuf,
        /// Record that was being read.
        index: usize,
        /// What the reader met, and where.
        reason: String,
        /// What a record looks like.
        expected: &'static str,
    },
    /// A line that is not as it should be.
    #[error("{}: line {line}: {text:?}; expected {expected}", file.display())]
    BadLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What it says.
        text: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// Two answers to one id.
    #[error("{}: record {index}: {id} was answered before, by record {first}; expected one answer for each id", file.display())]
    Duplicate {
        /// The file.
        file: PathBuf,
        /// The second record.
        index: usize,
        /// The first one.
        first: usize,
        /// Which id, such as `question 262148000`.
        id: String,
    },
    /// An answer to an id that the ground truth does not have.
    #[error("{}: record {index}: {id} is not among the {known} of the ground truth: is this file for another split?", file.display())]
    UnknownId {
        /// The file.
        file: PathBuf,
        /// The record.
        index: usize,
        /// Which id.
        id: String,
        /// How many ids there are.
        known: usize,
    },
    /// Ids without an answer.
    #[error("{}: {count} of {known} are not answered, the first is {id}; expected one record for each", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// The first of them.
        id: String,
        /// How many are not answered.
        count: usize,
        /// How many ids there are.
        known: usize,
    },
    /// A score that is NaN or infinite.
    #[error("{}: record {index} (image {image_id}): score is {score}; expected a finite number", file.display())]
    BadScore {
        /// The file.
        file: PathBuf,
        /// The record.
        index: usize,
        /// Its picture.
        image_id: u64,
        /// The score.
        score: f64,
    },
    /// A box with a coordinate that is not finite, without an area, or wholly outside its picture.
    #[error("{}: record {index} (image {image_id}): box {bbox:?} {problem}; expected [x, y, width, height] in pixels with sides over 0", file.display())]
    BadBox {
        /// The file.
        file: PathBuf,
        /// The record.
        index: usize,
        /// Its picture.
        image_id: u64,
        /// The box.
        bbox: [f64; 4],
        /// What is wrong with it.
        problem: String,
    },
    /// Records that were read but cannot be scored.
    #[error("{}: {source}", file.display())]
    Score {
        /// The result file.
        file: PathBuf,
        /// What the metric said.
        source: EvalError,
    },
}
