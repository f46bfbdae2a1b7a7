#![doc = include_str!("../README.md")]

mod encoding;
mod error;
mod pieces;
mod vocab;

pub use encoding::Encoding;
pub use error::TextError;
pub use pieces::{Special, WordPieces};
