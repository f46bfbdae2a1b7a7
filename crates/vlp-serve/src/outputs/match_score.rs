//! Scores of texts.

use serde::Serialize;

/// A text and its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchScore {
    /// The text.
    pub text: String,
    /// Probability that it describes the image.
    pub probability: f32,
}
