use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Blob, Blobs};
use crate::DataError;

/// How much a [`Cached`] reads at once and keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSize {
    /// Bytes of a block, at least 1: every read of the place is one block, or what is left of the file.
    pub block: usize,
    /// Blocks kept in memory, at least 1.
    pub blocks: usize,
}

impl Default for CacheSize {
    /// 32 blocks of 8 MiB.
    fn default() -> Self {
        Self {
            block: 8 << 20,
            blocks: 32,
        }
    }
}

/// A cache of blocks before a slow place: many small reads near one another become few large ones. Two threads that want
/// one block wait for one read of it. Memory is bounded by the size given, and a block for each thread that waits for one.
///
/// Under a [window](crate::Plan::window) the blocks should hold the pictures of one and a half windows, else blocks are
/// read more than once.
pub struct Cached {
    inner: Arc<dyn Blobs>,
    size: CacheSize,
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    /// Lengths of the files that were read.
    lengths: HashMap<String, u64>,
    blocks: HashMap<(String, u64), Slot>,
    /// Counts uses: the block with the least last one goes first.
    uses: u64,
    fetched: u64,
}

enum Slot {
    Loading,
    Ready { bytes: Arc<Vec<u8>>, used: u64 },
}

impl Cached {
    /// A cache before `inner`.
    ///
    /// # Errors
    /// [`DataError::Config`] for a size of 0.
    pub fn new(inner: Arc<dyn Blobs>, size: CacheSize) -> Result<Self, DataError> {
        if size.block == 0 || size.blocks == 0 {
            return Err(DataError::Config {
                field: "CacheSize",
                reason: format!("{size:?}; both must be at least 1"),
            });
        }
        Ok(Self {
            inner,
            size,
            state: Mutex::default(),
            ready: Condvar::new(),
        })
    }

    /// Blocks read from the place so far.
    pub fn fetched(&self) -> u64 {
        self.lock().fetched
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn length(&self, name: &str) -> Result<u64, DataError> {
        if let Some(&length) = self.lock().lengths.get(name) {
            return Ok(length);
        }
        let blob = self.head(name)?.ok_or_else(|| DataError::Missing {
            path: format!("{}/{name}", self.name()).into(),
            reason: "no such file".into(),
        })?;
        Ok(blob.bytes)
    }

    fn block(&self, name: &str, number: u64, length: u64) -> Result<Arc<Vec<u8>>, DataError> {
        let key = (name.to_owned(), number);
        let mut state = self.lock();
        loop {
            state.uses += 1;
            let now = state.uses;
            match state.blocks.get_mut(&key) {
                Some(Slot::Ready { bytes, used }) => {
                    *used = now;
                    return Ok(bytes.clone());
                }
                Some(Slot::Loading) => {
                    let waited = self.ready.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                None => break,
            }
        }
        state.make_room(self.size.blocks);
        state.blocks.insert(key.clone(), Slot::Loading);
        state.fetched += 1;
        drop(state);
        // Taken back if the read fails or panics: who waits then tries itself.
        let mut loading = Loading {
            cache: self,
            key,
            bytes: None,
        };
        let start = number * self.size.block as u64;
        let len = (length - start).min(self.size.block as u64) as usize;
        let bytes = Arc::new(self.inner.read(name, start, len)?);
        loading.bytes = Some(bytes.clone());
        Ok(bytes)
    }
}

impl State {
    /// Drops the blocks used longest ago, until one more fits.
    fn make_room(&mut self, most: usize) {
        while self.blocks.len() >= most {
            let used = |(key, slot): (&(String, u64), &Slot)| match slot {
                Slot::Ready { used, .. } => Some((*used, key.clone())),
                Slot::Loading => None,
            };
            let Some((_, oldest)) = self.blocks.iter().filter_map(used).min() else {
                return;
            };
            self.blocks.remove(&oldest);
        }
    }
}

struct Loading<'a> {
    cache: &'a Cached,
    key: (String, u64),
    bytes: Option<Arc<Vec<u8>>>,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        state.blocks.remove(&self.key);
        if let Some(bytes) = self.bytes.take() {
            let used = state.uses;
            let key = std::mem::take(&mut self.key);
            state.blocks.insert(key, Slot::Ready { bytes, used });
        }
        drop(state);
        self.cache.ready.notify_all();
    }
}

impl Blobs for Cached {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let listed = self.inner.list()?;
        let lengths = listed.iter().flatten();
        let lengths = lengths.map(|blob| (blob.name.clone(), blob.bytes));
        self.lock().lengths.extend(lengths);
        Ok(listed)
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        let found = self.inner.head(name)?;
        if let Some(blob) = &found {
            self.lock().lengths.insert(name.into(), blob.bytes);
        }
        Ok(found)
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        let length = self.length(name)?;
        let end = start.saturating_add(len as u64);
        if end > length {
            return Err(DataError::Format {
                path: format!("{}/{name}", self.name()).into(),
                reason: format!("it has {length} bytes; {start} to {end} were wanted"),
            });
        }
        let size = self.size.block as u64;
        let mut all = Vec::with_capacity(len);
        let mut at = start;
        while at < end {
            let block = self.block(name, at / size, length)?;
            let from = (at % size) as usize;
            let to = block.len().min(from + (end - at) as usize);
            all.extend_from_slice(&block[from..to]);
            at += (to - from) as u64;
        }
        Ok(all)
    }
}
