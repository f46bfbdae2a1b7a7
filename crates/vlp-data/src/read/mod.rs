//! Readers of the public data sets' annotation files, each a function that makes a [`FileSource`].
//!
//! Files are read record by record. Wrong records are left out one by one, counted and listed in
//! [`FileSource::report`]; a file that cannot be read at all is an error. Nothing is reordered.
//!
//! ```no_run
//! use vlp_data::{Limits, read::{KarpathySplit, VqaFiles, karpathy, vqa}};
//!
//! let limits = Limits::default();
//! let captions = karpathy("dataset_coco.json", "coco", &KarpathySplit::TRAINING, &limits)?;
//! let questions = vqa(&VqaFiles::find("vqa", "train2014")?, &limits)?;
//! println!("{}\n{}", captions.report(), questions.report());
//! # Ok::<(), vlp_data::DataError>(())
//! ```

pub(crate) mod boxes;
pub(crate) mod builder;
pub mod cache;
pub(crate) mod generic;
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
pub(crate) use report::caption;
pub use snli_ve::{SnliVeText, snli_ve};
pub use source::FileSource;
pub use vqa::{VqaFiles, vqa};
