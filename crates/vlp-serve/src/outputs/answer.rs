//! Answers to questions.

use serde::Serialize;

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The answer.
    pub answer: String,
    /// Its probability.
    pub probability: f32,
}
