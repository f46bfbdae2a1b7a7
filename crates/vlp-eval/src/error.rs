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
    /// Two records with one id.
    #[error("{list}[{index}]: id {id} was given before: expected each id once")]
    Duplicate {
        /// The list both records are in.
        list: &'static str,
        /// Position of the second record.
        index: usize,
        /// The repeated id.
        id: String,
    },
    /// A record that should be answered and is not.
    #[error("{list}: no record with id {id}: expected one for each annotation")]
    Missing {
        /// The list that lacks it.
        list: &'static str,
        /// The id without a record.
        id: String,
    },
    /// A record that answers nothing in the annotations.
    #[error("{list}[{index}]: id {id} is not in the annotations")]
    UnknownId {
        /// The list the record is in.
        list: &'static str,
        /// Position in that list.
        index: usize,
        /// The unknown id.
        id: String,
    },
    /// A question with fewer than two human answers: each is compared with the others.
    #[error("question {question_id}: {count} human answers: expected at least 2 (usually 10)")]
    FewAnswers {
        /// The question.
        question_id: u64,
        /// How many answers it has.
        count: usize,
    },
    /// An NLVR2 identifier that does not name its sentence.
    #[error("{list}[{index}]: identifier {identifier:?}: expected split-set-pair-sentence")]
    BadIdentifier {
        /// The list the record is in.
        list: &'static str,
        /// Position in that list.
        index: usize,
        /// The identifier as given.
        identifier: String,
    },
    /// A similarity matrix whose length does not fit.
    #[error("similarity: {len} values: expected {images} images x {texts} texts")]
    BadShape {
        /// Values given.
        len: usize,
        /// Rows.
        images: usize,
        /// Columns.
        texts: usize,
    },
    /// A similarity that is not a number.
    #[error("similarity of image {image} and text {text} is NaN")]
    BadSimilarity {
        /// Row.
        image: usize,
        /// Column.
        text: usize,
    },
    /// A text that belongs to no image.
    #[error("text {text}: image {image} does not exist: expected one of 0..{images}")]
    BadTextImage {
        /// The text.
        text: usize,
        /// The image it is said to describe.
        image: usize,
        /// How many images there are.
        images: usize,
    },
    /// An image without a text to find.
    #[error("image {image}: no text describes it: expected at least one")]
    NoText {
        /// The image.
        image: usize,
    },
    /// Images that do not divide into equal folds.
    #[error("{images} images do not divide into {folds} equal folds")]
    BadFolds {
        /// How many images there are.
        images: usize,
        /// Folds asked for.
        folds: usize,
    },
}
