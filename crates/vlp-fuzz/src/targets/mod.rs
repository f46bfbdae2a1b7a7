//! The targets, one a file.

mod caption_tokenizer;
#[cfg(feature = "burn")]
mod checkpoints;
#[cfg(feature = "burn")]
mod configs;
mod images;
mod index_caches;
mod json;
mod pth;
mod result_files;
mod safetensors;
mod tar;
mod word_pieces;

pub use caption_tokenizer::caption_tokenizer;
#[cfg(feature = "burn")]
pub use checkpoints::checkpoints;
#[cfg(feature = "burn")]
pub use configs::configs;
pub use images::images;
pub use index_caches::index_caches;
pub use json::{json_lines, json_readers};
pub use pth::pth;
pub use result_files::result_files;
pub use safetensors::safetensors;
pub use tar::tar;
pub use word_pieces::word_pieces;
