//! Readers of the public data sets' annotation files, each a function that makes a [`FileSource`].

pub(crate) mod boxes;
pub(crate) mod builder;
pub(crate) mod pictures;
pub(crate) mod records;
mod report;
pub(crate) mod source;
mod texts;

pub use pictures::name_key;
pub use report::ReadReport;
pub use source::FileSource;
