//! Samples in tar files in WebDataset's layout, read in place from a folder or another [`BlobStore`].
//!
//! The members of a sample are consecutive and share the name up to the first dot:
//!
//! | member | content |
//! |---|---|
//! | `KEY.jpg`, `.jpeg`, `.png`, `.webp`, `.gif`, `.bmp`, `.ico` | the image |
//! | `KEY.right.jpg` and so on | the right image of a task about two |
//! | `KEY.json` | a record in the format of [`generic`](crate::read::generic()), or a list of records about the image; `image` is optional |
//! | `KEY.txt` | a caption; `KEY.json` is then assumed to be another tool's and ignored |
//!
//! Members of other kinds are counted and ignored. [`open`] reads the headers and records of every shard once and builds an
//! index with the offset of every image, which gives random access to the samples. Nothing is unpacked. [`pack`] writes the
//! index of each shard next to it, and [`open_indexed`] reads these one by one when they are needed.
//!
//! ```
//! use std::sync::Arc;
//! use vlp_data::{Image, InMemorySource, LabelSpace, Sample, Source, shards};
//!
//! let sample = |key: u64| Sample {
//!     key,
//!     name: format!("{key}.png"),
//!     image: Image::filled(8, 6, [key as u8; 3]),
//!     second_image: None,
//!     captions: vec![format!("image {key}")],
//!     objects: None,
//!     label: None,
//!     record: None,
//! };
//! let source = InMemorySource::new("six", LabelSpace::default(), (0..6).map(sample).collect());
//! let dir = tempfile::tempdir()?;
//! let report = shards::pack(&source, dir.path().join("set"), &shards::PackOptions::default())?;
//! assert_eq!((report.samples, report.shards.len()), (6, 1));
//! let folder = Arc::new(shards::Folder::open(dir.path().join("set"))?);
//! let opened = shards::open(folder, shards::ShardOptions::default())?;
//! assert_eq!(opened.source.load(3)?.captions, source.load(3)?.captions);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block_cache;
mod index;
mod index_memory;
mod indexed;
mod manifest;
mod members;
mod pack;
mod pack_options;
mod record;
mod sidecar;
mod tar;
mod writer;

pub use crate::blob_store::{Blob, BlobStore, Folder};
pub use block_cache::{BlockCacheSize, CachedBlobStore};
pub use index::{ShardOptions, open};
pub use indexed::{IndexedShards, open_indexed};
pub use manifest::{MANIFEST, Manifest, ShardEntry, ShardIndex, verify};
pub use pack::pack;
pub use pack_options::{PackOptions, PackReport};
