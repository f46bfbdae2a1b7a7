//! Readers of the public data sets' annotation files, each a function that makes a [`FileSource`].
//!
//! Files are read record by record. Wrong records are left out one by one, counted and listed in
//! [`FileSource::report`]; a file that cannot be read at all is an error. Nothing is reordered.

pub(crate) mod boxes;
pub(crate) mod builder;
mod generic;
mod genome;
pub(crate) mod karpathy;
mod nlvr2;
pub(crate) mod pictures;
pub(crate) mod records;
mod report;
mod snli_ve;
pub(crate) mod source;
mod texts;
mod vqa;

pub use generic::{GenericOptions, generic};
pub use genome::{GenomeFiles, visual_genome};
pub use karpathy::{KarpathySplit, karpathy};
pub use nlvr2::nlvr2;
pub(crate) use pictures::fnv;
pub use pictures::name_key;
pub use report::ReadReport;
pub use snli_ve::snli_ve;
pub use source::FileSource;
pub use vqa::{VqaFiles, vqa};
