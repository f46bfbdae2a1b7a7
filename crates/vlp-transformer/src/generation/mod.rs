//! Text generation by beam search or sampling over any [`TokenScorer`], with Hugging Face's names and meanings of options.

mod beam;
mod constraints;
mod sample;
mod top;

use getset::WithSetters;
use serde::{Deserialize, Serialize};

pub use beam::{beam_search, beam_search_all};
pub use sample::{Sampling, sample};
pub use top::most_probable;

/// Scores the next token of every row of a batch; may cache state between calls.
pub trait TokenScorer {
    /// The `count` most probable tokens after `last` with their log-probabilities for each row of the batch, as
    /// [`most_probable`] orders them; all tokens of a smaller vocabulary. `count` is the same in every call.
    ///
    /// The first call gets the first token of each row, later calls the most recently chosen one. Rows keep their order
    /// between calls except for [`Self::reorder`].
    fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>>;

    /// Replaces row `i` by a copy of row `rows[i]`.
    fn reorder(&mut self, rows: &[usize]);
}

/// Options of generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct GenerationConfig {
    /// First token.
    pub bos: u32,
    /// Token that ends a text.
    pub eos: u32,
    /// Maximum number of generated tokens, `eos` included, `bos` not.
    pub max_new_tokens: usize,
    /// Minimum number of generated tokens before `eos` is allowed.
    #[serde(default)]
    pub min_new_tokens: usize,
    /// Number of beams; 1 is greedy search, and 0 counts as 1. A search ends as with Hugging Face's `early_stopping`.
    pub num_beams: usize,
    /// Exponent of the length by which the sum of log-probabilities is divided; 0 compares plain sums.
    pub length_penalty: f64,
    /// No n-gram of this size occurs twice in a text; 0 allows all.
    #[serde(default)]
    pub no_repeat_ngram_size: usize,
}

impl GenerationConfig {
    /// Greedy search from `bos` to `eos`.
    pub fn greedy(bos: u32, eos: u32, max_new_tokens: usize) -> Self {
        Self {
            bos,
            eos,
            max_new_tokens,
            min_new_tokens: 0,
            num_beams: 1,
            length_penalty: 0.0,
            no_repeat_ngram_size: 0,
        }
    }

    fn score(&self, sum: f64, length: usize) -> f64 {
        sum / (length.max(1) as f64).powf(self.length_penalty)
    }
}

/// A generated text.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedSequence {
    /// Tokens between `bos` and `eos`, without both.
    pub ids: Vec<u32>,
    /// Sum of log-probabilities, that of `eos` included if the text ended, divided by the length penalty.
    pub score: f64,
}
