#![doc = include_str!("../README.md")]

mod embeddings;
mod error;
mod header;
mod index;
mod manifest;
mod records;
mod segment;
mod segment_file;
mod writer;

pub use embeddings::{Embeddings, Scored};
pub use error::IndexError;
pub use header::{IndexHeader, RunIdentity};
pub use index::{Index, IndexedText};
pub use records::IndexedImage;
pub use segment::Segment;
pub use writer::IndexWriter;
