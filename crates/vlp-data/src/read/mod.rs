//! Readers of public data sets' annotation files, each a function that returns a [`FileSource`].
//!
//! Files are read record by record. Invalid records are skipped one by one, counted and listed in
//! [`FileSource::report`]; an unreadable file is an error. The order of the records is kept.
//!
//! ```no_run
//! use vlp_data::{Limits, read::{CocoFiles, VqaFiles, coco, vqa}};
//!
//! let limits = Limits::default();
//! let captions = coco(&CocoFiles::find("coco", Some("train2017"))?, &limits)?;
//! let questions = vqa(&VqaFiles::find("vqa", "train2014")?, &limits)?;
//! println!("{}\n{}", captions.report(), questions.report());
//! # Ok::<(), vlp_data::DataError>(())
//! ```

mod boxes;
pub(crate) mod builder;
pub mod cache;
mod coco;
mod duplicate_boxes;
pub(crate) mod file_images;
pub(crate) mod folders;
pub(crate) mod generic;
mod genome;
mod genome_labels;
pub(crate) mod images;
pub(crate) mod karpathy;
mod nlvr2;
pub(crate) mod records;
mod report;
pub(crate) mod row;
mod scanner;
mod snli_ve;
mod source;
mod texts;
mod vqa;

pub use coco::{CocoFiles, coco};
pub use folders::{is_system_file, name_key};
pub use generic::{GenericOptions, generic};
pub use genome::{GenomeFiles, visual_genome};
pub use karpathy::{KarpathySplit, karpathy};
pub use nlvr2::nlvr2;
pub use report::ReadReport;
pub(crate) use report::trim_caption;
pub use snli_ve::{SnliVeText, premise_and_hypothesis, snli_ve};
pub use source::FileSource;
pub use vqa::{VqaFiles, vqa};
