#![doc = include_str!("../README.md")]

mod error;
mod objects;
mod runtime;

use std::sync::Arc;

use vlp_data::{
    DataError,
    shards::{Blobs, CacheSize, Cached, Folder},
};

pub use error::StoreError;
pub use objects::{ObjectBlobs, Retries};

/// The shards of a place: a local path, or a URL of an object store with a cache of blocks before it.
///
/// # Errors
/// When there is no such path, or the URL or the store's configuration is wrong.
pub fn open(place: &str, cache: CacheSize) -> Result<Arc<dyn Blobs>, DataError> {
    if !place.contains("://") {
        return Ok(Arc::new(Folder::open(place)?));
    }
    let objects = ObjectBlobs::open(place)?;
    Ok(Arc::new(Cached::new(Arc::new(objects), cache)?))
}
