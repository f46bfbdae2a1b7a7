//! What an index knows of its images and texts besides their embeddings.

use serde::{Deserialize, Serialize};

/// An image of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedImage {
    /// Its index in the source.
    pub sample: usize,
    /// Its image id in the source.
    pub key: u64,
    /// Its name in the source.
    pub name: String,
    /// A hash of its size and pixels, which says whether the source still has it.
    pub pixel_hash: u64,
}

/// Where the thumbnail of an image is in the segment's file of thumbnails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thumbnail {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) crc32c: u32,
}

/// An image as a segment's file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageRecord {
    pub(crate) image: IndexedImage,
    /// Indices of its texts among those of this segment and the ones before.
    pub(crate) texts: Vec<usize>,
    pub(crate) thumbnail: Option<Thumbnail>,
}

/// The records of a segment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Records {
    pub(crate) images: Vec<ImageRecord>,
    /// Those that no segment before has.
    pub(crate) texts: Vec<String>,
    /// Messages about samples that could not be read.
    pub(crate) skipped: Vec<String>,
}
