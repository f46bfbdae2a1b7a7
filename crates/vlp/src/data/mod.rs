//! Training and validation data of a configuration.

mod datasets;
mod label_spaces;
mod source;
mod source_hint;
#[cfg(test)]
mod tests;
mod tokenizer;
mod training_source;
mod vocabulary;

pub use datasets::Datasets;
pub(crate) use label_spaces::have_same_names;
pub use source::{OpenedSource, open_plain};
pub use source_hint::{IMAGES_HINT, has_shards, is_tar};
pub use tokenizer::load_tokenizer;
pub(crate) use tokenizer::{is_tokenizer_file, read_tokenizer_copy};
pub use vocabulary::Vocabulary;
