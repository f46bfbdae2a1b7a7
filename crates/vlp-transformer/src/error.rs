//! What can be wrong with a transformer's configuration or input.

/// An impossible transformer configuration or token batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformerError {
    /// A configuration value that cannot work.
    #[error("{key} = {value}: {hint}")]
    Config {
        /// Name of the configuration key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would do.
        hint: String,
    },
    /// More tokens than the position table has rows.
    #[error(
        "text {row} has {length} tokens, the model takes at most {max} (max_len): shorten it or raise max_len"
    )]
    TooLong {
        /// Place in the batch.
        row: usize,
        /// Tokens found.
        length: usize,
        /// Rows of the position table.
        max: usize,
    },
    /// A token id outside the vocabulary.
    #[error(
        "text {row}, token {position}: id {id} is not in a vocabulary of {vocab}; use the model's own word pieces"
    )]
    UnknownToken {
        /// Place in the batch.
        row: usize,
        /// Place in the text.
        position: usize,
        /// The id.
        id: u32,
        /// Vocabulary size.
        vocab: usize,
    },
}
