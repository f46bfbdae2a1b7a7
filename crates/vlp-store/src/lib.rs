#![doc = include_str!("../README.md")]

mod client;
mod error;
mod object_blob_store;
mod range_reader;
mod retry_after;
mod retry_policy;
mod runtime;
mod version;

use std::sync::Arc;

use vlp_data::{
    DataError,
    shards::{BlobStore, BlockCacheSize, CachedBlobStore, Folder},
};

pub use error::StoreError;
pub use object_blob_store::ObjectBlobStore;
pub use retry_policy::RetryPolicy;
pub use version::ObjectVersion;

/// Opens shards at a local path, or at the URL of an object store, which is read through a cache of blocks.
///
/// # Errors
/// If the path does not exist, or the URL or the configuration of the store is invalid.
pub fn open(location: &str, cache: BlockCacheSize) -> Result<Arc<dyn BlobStore>, DataError> {
    if !location.contains("://") {
        return Ok(Arc::new(Folder::open(location)?));
    }
    let store = ObjectBlobStore::open(location)?;
    Ok(Arc::new(CachedBlobStore::new(Arc::new(store), cache)?))
}
