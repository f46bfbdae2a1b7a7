//! Errors in the input of metrics.

use thiserror::Error;

/// A record that a metric cannot score.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A box with a coordinate that is not finite, or with a negative width or height.
    #[error(
        "{list}[{index}] (image {image_id}): box {bbox:?} is invalid: expected finite [x, y, width, height] with width and height >= 0"
    )]
    BadBox {
        /// `"ground truth"` or `"detection"`.
        list: &'static str,
        /// Index in that list.
        index: usize,
        /// The image of the record.
        image_id: u64,
        /// The box.
        bbox: [f64; 4],
    },
    /// A ground-truth area that is not finite or is negative.
    #[error(
        "ground truth[{index}] (image {image_id}): area {area} is invalid: expected a finite value >= 0"
    )]
    BadArea {
        /// Index in the ground-truth list.
        index: usize,
        /// The image of the record.
        image_id: u64,
        /// The area.
        area: f64,
    },
    /// A score that is not finite.
    #[error("{list}[{index}]: score {score} is invalid: expected a finite number")]
    BadScore {
        /// The list the record is in.
        list: &'static str,
        /// Index in that list.
        index: usize,
        /// The score.
        score: f64,
    },
    /// A record of an image that is not in the evaluated set.
    #[error("{list}[{index}]: image {image_id} is not in the list of evaluated images")]
    UnknownImage {
        /// `"ground truth"` or `"detection"`.
        list: &'static str,
        /// Index in that list.
        index: usize,
        /// The unknown image.
        image_id: u64,
    },
    /// An empty input, which has no mean.
    #[error("{metric}: nothing to score: expected at least one {expected}")]
    Empty {
        /// The metric.
        metric: &'static str,
        /// What it needs.
        expected: &'static str,
    },
    /// A caption without a reference.
    #[error("caption pair {index}: no reference caption: expected at least one")]
    NoReferences {
        /// Index in the list of pairs.
        index: usize,
    },
    /// Two records with one id.
    #[error("{list}[{index}]: duplicate id {id}: expected each id once")]
    Duplicate {
        /// The list both records are in.
        list: &'static str,
        /// Index of the second record.
        index: usize,
        /// The repeated id.
        id: String,
    },
    /// An annotation without a record.
    #[error("{list}: no record with id {id}: expected one for each annotation")]
    Missing {
        /// The list without the record.
        list: &'static str,
        /// The id.
        id: String,
    },
    /// A record with an id that is not in the annotations.
    #[error("{list}[{index}]: id {id} is not in the annotations")]
    UnknownId {
        /// The list the record is in.
        list: &'static str,
        /// Index in that list.
        index: usize,
        /// The unknown id.
        id: String,
    },
    /// A question with fewer than two human answers.
    #[error("question {question_id}: {count} human answers: expected at least 2 (usually 10)")]
    FewAnswers {
        /// The question.
        question_id: u64,
        /// Number of answers.
        count: usize,
    },
    /// A similarity matrix with a wrong number of values.
    #[error("similarity: {len} values: expected {images} images x {texts} texts")]
    BadShape {
        /// Number of values.
        len: usize,
        /// Number of images (rows).
        images: usize,
        /// Number of texts (columns).
        texts: usize,
    },
    /// A similarity that is NaN.
    #[error("similarity of image {image} and text {text} is NaN")]
    BadSimilarity {
        /// Image (row).
        image: usize,
        /// Text (column).
        text: usize,
    },
    /// A text with an index of a missing image.
    #[error("text {text}: image {image} does not exist: expected one of 0..{images}")]
    BadTextImage {
        /// The text.
        text: usize,
        /// Its image index.
        image: usize,
        /// Number of images.
        images: usize,
    },
    /// An image without a text.
    #[error("image {image}: no text: expected at least one")]
    NoText {
        /// The image.
        image: usize,
    },
    /// A number of images that is not divisible by the number of folds.
    #[error("{images} images do not divide into {folds} equal folds")]
    BadFolds {
        /// Number of images.
        images: usize,
        /// Number of folds.
        folds: usize,
    },
}
