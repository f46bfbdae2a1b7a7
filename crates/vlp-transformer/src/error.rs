//! Errors of configuration and input.

/// Checks a probability of dropout.
///
/// # Errors
/// [`TransformerError::Config`] if it is not in `[0, 1)`.
pub(crate) fn check_dropout(key: &'static str, probability: f64) -> Result<(), TransformerError> {
    match (0.0..1.0).contains(&probability) {
        true => Ok(()),
        false => Err(TransformerError::Config {
            key,
            value: probability.to_string(),
            hint: "use a probability of at least 0 and less than 1".into(),
        }),
    }
}

/// An invalid transformer configuration or token batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformerError {
    /// An invalid configuration value.
    #[error("{key} = {value}: {hint}")]
    Config {
        /// Configuration key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to use instead.
        hint: String,
    },
    /// A text with more tokens than there are position embeddings.
    #[error(
        "text {row} has {length} tokens, the model takes at most {max} (max_positions): shorten it or raise max_positions"
    )]
    TooLong {
        /// Index in the batch.
        row: usize,
        /// Number of tokens.
        length: usize,
        /// Number of position embeddings.
        max: usize,
    },
    /// A token id outside the vocabulary.
    #[error(
        "text {row}, token {position}: id {id} is not in a vocabulary of {vocab}; use the model's own tokenizer"
    )]
    UnknownToken {
        /// Index in the batch.
        row: usize,
        /// Position in the text.
        position: usize,
        /// The id.
        id: u32,
        /// Vocabulary size.
        vocab: usize,
    },
}
