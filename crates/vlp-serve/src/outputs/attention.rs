//! Attention over images.

use serde::Serialize;

/// Attention over an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Attention {
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub columns: usize,
    /// Of each object query.
    pub queries: Vec<QueryAttention>,
    /// Of the words of each caption.
    pub captions: Vec<TextAttention>,
    /// Of the words of each text.
    pub texts: Vec<TextAttention>,
}

/// Attention of an object query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryAttention {
    /// The query.
    pub query: usize,
    /// Weights of the cells, row by row.
    pub weights: Vec<f32>,
}

/// Attention of the words of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextAttention {
    /// The text.
    pub text: String,
    /// Its words in order.
    pub words: Vec<WordAttention>,
}

/// Attention of a word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordAttention {
    /// The word.
    pub word: String,
    /// Weights of the cells, row by row.
    pub weights: Vec<f32>,
}
