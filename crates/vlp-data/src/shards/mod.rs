//! Samples in tar files in webdataset's layout, read in place: from a folder or, through [`Blobs`], from an object store.
//!
//! A sample's members stand side by side and share the name before the first dot:
//!
//! | member | content |
//! |---|---|
//! | `KEY.jpg`, `.jpeg`, `.png`, `.webp` | the picture |
//! | `KEY.right.jpg` and so on | the right picture of a task about two |
//! | `KEY.json` | a record of the format that the crate's page describes, or a list of records about the picture; `image` may be left out |
//! | `KEY.txt` | a caption; where there is one, `KEY.json` is another tool's and not read |
//!
//! Members of other kinds are counted and passed over. [`open`] walks once over the headers and records of every shard and
//! makes an index with the place of every picture; samples then have random access, as those of any other source. Nothing
//! is unpacked.
//!
//! ```
//! use std::sync::Arc;
//! use vlp_data::{Scenes, ScenesConfig, Source, shards};
//!
//! let (dir, config) = (tempfile::tempdir()?, ScenesConfig { count: 6, ..ScenesConfig::default() });
//! let scenes = Scenes::new(config)?;
//! let report = shards::pack(&scenes, dir.path().join("set"), &shards::PackOptions::default())?;
//! assert_eq!((report.samples, report.shards.len()), (6, 1));
//! let place = Arc::new(shards::Folder::open(dir.path().join("set"))?);
//! let opened = shards::open(place, shards::ShardOptions::default())?;
//! assert_eq!(opened.source.load(3)?.captions, scenes.load(3)?.captions);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blobs;
mod blocks;
mod group;
mod index;
mod manifest;
mod pack;
mod record;
mod tar;

pub use blobs::{Blob, Blobs, Folder};
pub use blocks::{CacheSize, Cached};
pub use index::{ShardOptions, open};
pub use manifest::{MANIFEST, Manifest, ShardEntry, verify};
pub use pack::{PackOptions, PackReport, pack};
