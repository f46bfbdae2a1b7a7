//! Captions, and how they are generated.

use serde::Serialize;

/// A generated caption.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caption {
    /// The text.
    pub text: String,
    /// Sum of the log-probabilities of its tokens in nats, after the length penalty.
    pub score: f64,
}

/// How captions are generated.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CaptionMethod {
    /// As the run's configuration says.
    Default,
    /// Beam search; all beams are returned.
    Search {
        /// Beams; 1 is greedy.
        num_beams: usize,
        /// Exponent of the length penalty; 0 for a greedy search.
        length_penalty: f64,
        /// Minimum number of tokens.
        min_new_tokens: usize,
        /// Maximum number of tokens.
        max_new_tokens: usize,
        /// No n-gram of this size occurs twice; 0 allows all.
        no_repeat_ngram_size: usize,
    },
    /// Sampling.
    Sampling {
        /// Captions for each image.
        count: usize,
        /// Captions are a function of it and of the image.
        seed: u64,
        /// Log-probabilities are divided by this.
        temperature: f64,
        /// Keeps the fewest most probable tokens whose probabilities sum to this.
        top_p: f64,
        /// Keeps this many tokens; 0 keeps all.
        top_k: usize,
        /// Maximum number of tokens.
        max_new_tokens: usize,
    },
}
