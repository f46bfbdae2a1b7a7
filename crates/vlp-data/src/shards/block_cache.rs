use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Blob, BlobStore};
use crate::DataError;

/// Size of the cache of a [`CachedBlobStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCacheSize {
    /// Bytes of a block, at least 1. Each read of the underlying store is one block, or the rest of the file.
    pub block_bytes: usize,
    /// Largest number of blocks in memory, at least 1.
    pub max_blocks: usize,
}

impl Default for BlockCacheSize {
    /// 32 blocks of 8 MiB.
    fn default() -> Self {
        Self {
            block_bytes: 8 << 20,
            max_blocks: 32,
        }
    }
}

/// A least-recently-used cache of blocks for a slow store, which turns many small reads into few large ones.
///
/// Threads that need the same block share one read of it. Memory is bounded by the cache size plus one block for each
/// thread that is reading one.
///
/// With a [window](crate::BatchPlan::window) the cache should hold the images of one and a half windows; otherwise blocks
/// are read more than once.
pub struct CachedBlobStore {
    inner: Arc<dyn BlobStore>,
    size: BlockCacheSize,
    state: Mutex<CacheState>,
    block_loaded: Condvar,
}

impl fmt::Debug for CachedBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBlobStore")
            .field("inner", &self.inner)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A file and the index of a block in it.
type BlockKey = (String, u64);

#[derive(Default)]
struct CacheState {
    /// Lengths of the files, as far as known.
    lengths: HashMap<String, u64>,
    blocks: HashMap<BlockKey, Slot>,
    /// Number of accesses so far, the clock of `last_use`.
    accesses: u64,
    fetched: u64,
}

enum Slot {
    Loading,
    Ready { bytes: Arc<Vec<u8>>, last_use: u64 },
}

impl CachedBlobStore {
    /// A cache for `inner`.
    ///
    /// # Errors
    /// [`DataError::Config`] for a size of 0.
    pub fn new(inner: Arc<dyn BlobStore>, size: BlockCacheSize) -> Result<Self, DataError> {
        if size.block_bytes == 0 || size.max_blocks == 0 {
            return Err(DataError::Config {
                field: "BlockCacheSize",
                reason: format!("{size:?}; both must be at least 1"),
            });
        }
        Ok(Self {
            inner,
            size,
            state: Mutex::default(),
            block_loaded: Condvar::new(),
        })
    }

    /// Number of blocks read from the underlying store so far.
    pub fn fetched(&self) -> u64 {
        self.lock().fetched
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        // No panic can leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn length(&self, name: &str) -> Result<u64, DataError> {
        if let Some(&length) = self.lock().lengths.get(name) {
            return Ok(length);
        }
        let missing = || DataError::Missing {
            path: format!("{}/{name}", self.name()).into(),
            reason: "no such file".into(),
        };
        let blob = self.head(name)?;
        Ok(blob.ok_or_else(|| missing().of_store())?.bytes)
    }

    fn block(&self, name: &str, index: u64, length: u64) -> Result<Arc<Vec<u8>>, DataError> {
        let key = (name.to_owned(), index);
        let mut state = self.lock();
        loop {
            state.accesses += 1;
            let now = state.accesses;
            match state.blocks.get_mut(&key) {
                Some(Slot::Ready { bytes, last_use }) => {
                    *last_use = now;
                    return Ok(bytes.clone());
                }
                Some(Slot::Loading) => {
                    let woken = self.block_loaded.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                None => break,
            }
        }
        state.evict(self.size.max_blocks);
        state.blocks.insert(key.clone(), Slot::Loading);
        state.fetched += 1;
        drop(state);
        // If the read fails or panics, its drop removes the slot, and waiting threads retry the read themselves.
        let mut loading = LoadingBlock {
            cache: self,
            key,
            bytes: None,
        };
        let start = index * self.size.block_bytes as u64;
        let len = (length - start).min(self.size.block_bytes as u64) as usize;
        let bytes = Arc::new(self.inner.read(name, start, len)?);
        loading.bytes = Some(bytes.clone());
        Ok(bytes)
    }
}

impl CacheState {
    /// Removes the least recently used blocks until one more fits.
    fn evict(&mut self, max_blocks: usize) {
        while self.blocks.len() >= max_blocks {
            let last_use = |(key, slot): (&BlockKey, &Slot)| match slot {
                Slot::Ready { last_use, .. } => Some((*last_use, key.clone())),
                Slot::Loading => None,
            };
            let Some((_, oldest)) = self.blocks.iter().filter_map(last_use).min() else {
                return;
            };
            self.blocks.remove(&oldest);
        }
    }
}

/// Replaces the `Loading` slot on drop: by the bytes if there are any, else by nothing.
struct LoadingBlock<'a> {
    cache: &'a CachedBlobStore,
    key: BlockKey,
    bytes: Option<Arc<Vec<u8>>>,
}

impl Drop for LoadingBlock<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        state.blocks.remove(&self.key);
        if let Some(bytes) = self.bytes.take() {
            let last_use = state.accesses;
            let key = std::mem::take(&mut self.key);
            state.blocks.insert(key, Slot::Ready { bytes, last_use });
        }
        drop(state);
        self.cache.block_loaded.notify_all();
    }
}

impl BlobStore for CachedBlobStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let blobs = self.inner.list()?;
        let lengths = blobs.iter().flatten();
        let lengths = lengths.map(|blob| (blob.name.clone(), blob.bytes));
        self.lock().lengths.extend(lengths);
        Ok(blobs)
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        let blob = self.inner.head(name)?;
        if let Some(blob) = &blob {
            self.lock().lengths.insert(name.into(), blob.bytes);
        }
        Ok(blob)
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        let length = self.length(name)?;
        let end = start.saturating_add(len as u64);
        if end > length {
            let error = DataError::Format {
                path: format!("{}/{name}", self.name()).into(),
                reason: format!("it has {length} bytes; {start} to {end} were requested"),
            };
            return Err(error.of_store());
        }
        let block_bytes = self.size.block_bytes as u64;
        let mut bytes = Vec::with_capacity(len);
        let mut offset = start;
        while offset < end {
            let block = self.block(name, offset / block_bytes, length)?;
            let from = (offset % block_bytes) as usize;
            let to = block.len().min(from + (end - offset) as usize);
            bytes.extend_from_slice(&block[from..to]);
            offset += (to - from) as u64;
        }
        Ok(bytes)
    }
}
