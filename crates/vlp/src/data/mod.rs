//! Training and validation data of a configuration.

mod datasets;
mod source;
mod tokenizer;
mod training_source;
mod vocabulary;

pub use datasets::Datasets;
pub use source::{IMAGES_HINT, OpenedSource, has_shards, is_tar, open_plain};
pub use tokenizer::load_tokenizer;
pub(crate) use tokenizer::{is_tokenizer_file, read_tokenizer_copy};
pub use vocabulary::Vocabulary;
