#![doc = include_str!("../README.md")]

mod encoding;
mod error;
mod tokenizer;
mod vocab;

pub use encoding::Encoding;
pub use error::TextError;
pub use tokenizer::{SpecialTokens, WordPieceTokenizer};
