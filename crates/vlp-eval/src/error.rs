//! What can be wrong with the input of a metric.

use thiserror::Error;

/// A record that a metric cannot score, named so that it can be found and mended.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A box with a coordinate that is not finite, or a negative side.
    #[error(
        "{list}[{index}] (image {image_id}): box {bbox:?} is not usable: expected finite [x, y, width, height] with width and height >= 0"
    )]
    BadBox {
        /// `"ground truth"` or `"detection"`.
        list: &'static str,
        /// Position in that list.
        index: usize,
        /// Image the record belongs to.
        image_id: u64,
        /// The box as given.
        bbox: [f64; 4],
    },
    /// A ground-truth area that is not finite or is negative.
    #[error(
        "ground truth[{index}] (image {image_id}): area {area} is not usable: expected a finite value >= 0"
    )]
    BadArea {
        /// Position in the ground-truth list.
        index: usize,
        /// Image the record belongs to.
        image_id: u64,
        /// The area as given.
        area: f64,
    },
    /// A score that is not finite.
    #[error("{list}[{index}]: score {score} is not usable: expected a finite number")]
    BadScore {
        /// The list the record is in.
        list: &'static str,
        /// Position in that list.
        index: usize,
        /// The score as given.
        score: f64,
    },
    /// A record of an image that is not in the evaluated set.
    #[error("{list}[{index}]: image {image_id} is not in the list of evaluated images")]
    UnknownImage {
        /// `"ground truth"` or `"detection"`.
        list: &'static str,
        /// Position in that list.
        index: usize,
        /// The unknown image.
        image_id: u64,
    },
    /// Nothing to average over.
    #[error("{metric}: nothing to score: expected at least one {expected}")]
    Empty {
        /// The metric that was asked for.
        metric: &'static str,
        /// What it needs.
        expected: &'static str,
    },
    /// A caption without a reference to compare with.
    #[error("caption pair {index}: no reference caption: expected at least one")]
    NoReferences {
        /// Position in the list of pairs.
        index: usize,
    },
}
