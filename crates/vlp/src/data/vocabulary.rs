//! Names of the model's output classes.

use serde::{Deserialize, Serialize};
use vlp_data::LabelSpace;

/// Names of the model's output classes, by index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Classes and attributes of detection.
    pub labels: LabelSpace,
    /// Answers to questions.
    #[serde(default)]
    pub answers: Vec<String>,
    /// SHA-256 of the tokenizer's vocabulary ([`vlp_text::WordPieceTokenizer::sha256`]).
    pub tokenizer_sha256: String,
}
