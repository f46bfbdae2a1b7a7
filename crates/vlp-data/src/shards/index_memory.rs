use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{DataError, FileSource};

/// The indices of the shards used last. Threads that need the same index share one read of it.
#[derive(Debug)]
pub(super) struct IndexMemory {
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<usize, Entry>,
    /// Number of accesses so far, the clock of `last_use`.
    accesses: u64,
}

#[derive(Debug, Default)]
struct Entry {
    /// `None` until it is read.
    index: Arc<Mutex<Option<Arc<FileSource>>>>,
    /// 0 until it is read.
    bytes: usize,
    last_use: u64,
}

impl IndexMemory {
    /// Keeps `max_bytes` of indices, or one if it is larger.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Mutex::default(),
        }
    }

    /// The index of a shard, from memory or by `read`.
    pub(super) fn get(
        &self,
        shard: usize,
        read: impl FnOnce() -> Result<FileSource, DataError>,
    ) -> Result<Arc<FileSource>, DataError> {
        let slot = {
            let mut state = lock(&self.state);
            state.accesses += 1;
            let last_use = state.accesses;
            let entry = state.entries.entry(shard).or_default();
            entry.last_use = last_use;
            entry.index.clone()
        };
        let mut slot = lock(&slot);
        if let Some(index) = &*slot {
            return Ok(index.clone());
        }
        let index = Arc::new(read()?);
        *slot = Some(index.clone());
        let mut state = lock(&self.state);
        if let Some(entry) = state.entries.get_mut(&shard) {
            entry.bytes = index.index_bytes();
        }
        state.evict(self.max_bytes, shard);
        Ok(index)
    }
}

impl State {
    /// Removes the least recently used indices except that of `shard` until the others fit.
    fn evict(&mut self, max_bytes: usize, shard: usize) {
        let mut bytes: usize = self.entries.values().map(|entry| entry.bytes).sum();
        while bytes > max_bytes {
            let entries = self.entries.iter();
            let mut loaded = entries.filter(|&(&other, entry)| entry.bytes > 0 && other != shard);
            let mut oldest = loaded.next();
            for entry in loaded {
                oldest = oldest
                    .filter(|oldest| oldest.1.last_use < entry.1.last_use)
                    .or(Some(entry));
            }
            let Some((&oldest, entry)) = oldest else {
                return;
            };
            bytes -= entry.bytes;
            self.entries.remove(&oldest);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No panic can leave the state inconsistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
