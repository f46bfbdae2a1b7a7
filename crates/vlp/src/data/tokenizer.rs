//! The tokenizer of a configuration.

use vlp_text::WordPieceTokenizer;

use crate::error::VlpError;

/// The tokenizer called `name`, a value of `data.tokenizer`.
///
/// # Errors
/// [`VlpError::Text`] for a file that cannot be read or is not a WordPiece vocabulary.
pub fn load_tokenizer(name: &str) -> Result<WordPieceTokenizer, VlpError> {
    Ok(match name {
        "scenes" => WordPieceTokenizer::scenes(),
        "bert-base-uncased" => WordPieceTokenizer::bert_uncased(),
        path if path.ends_with(".json") => WordPieceTokenizer::from_tokenizer_json(path)?,
        path => WordPieceTokenizer::from_vocab_file(path)?,
    })
}
