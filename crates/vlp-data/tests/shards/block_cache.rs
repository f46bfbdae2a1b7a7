//! The block cache.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use proptest::prelude::*;
use vlp_data::{
    DataError,
    shards::{Blob, BlobStore, BlockCacheSize, CachedBlobStore},
};

use crate::MemoryStore;

/// A slow store whose first reads fail.
#[derive(Debug)]
struct SlowStore {
    inner: Arc<MemoryStore>,
    failures: AtomicU64,
}

impl BlobStore for SlowStore {
    fn name(&self) -> &str {
        "slow"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        self.inner.list()
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        self.inner.head(name)
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        thread::sleep(Duration::from_millis(5));
        let decrement = |failures: u64| failures.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement)
            .is_ok()
        {
            return Err(DataError::Worker("unavailable".into()));
        }
        self.inner.read(name, start, len)
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 % 253) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn reads_return_the_bytes_of_the_file(len in 1..500_usize, block in 1..64_usize, blocks in 1..5_usize, reads in prop::collection::vec((any::<usize>(), any::<usize>()), 1..20)) {
        let content = bytes(len);
        let cached = CachedBlobStore::new(MemoryStore::single("a", content.clone()), BlockCacheSize { block_bytes: block, max_blocks: blocks }).unwrap();
        for (start, read_len) in reads {
            let start = start % len;
            let read_len = read_len % (len - start + 1);
            prop_assert_eq!(cached.read("a", start as u64, read_len).unwrap(), &content[start..start + read_len]);
        }
        let error = cached.read("a", 0, len + 1).unwrap_err().to_string();
        prop_assert!(error.contains(&format!("it has {len} bytes")), "{}", error);
    }
}

#[test]
fn threads_share_one_read_of_a_block() {
    for failures in [0, 3] {
        let inner = MemoryStore::single("a", bytes(1000));
        let slow = SlowStore {
            inner: inner.clone(),
            failures: AtomicU64::new(failures),
        };
        let size = BlockCacheSize {
            block_bytes: 100,
            max_blocks: 10,
        };
        let cached = CachedBlobStore::new(Arc::new(slow), size).unwrap();
        let barrier = Barrier::new(8);
        let errors: usize = thread::scope(|scope| {
            let read = || {
                barrier.wait();
                let read = |block: u64| cached.read("a", block * 100, 100);
                (0..10).filter(|&block| read(block).is_err()).count()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        // A failed read is an error for one thread; the others retry.
        assert_eq!(errors as u64, failures);
        assert_eq!(inner.reads.load(Ordering::SeqCst), 10);
        assert_eq!(cached.fetched(), 10 + failures);
    }
}

#[test]
fn oldest_blocks_are_evicted() {
    let inner = MemoryStore::single("a", bytes(1000));
    let size = BlockCacheSize {
        block_bytes: 100,
        max_blocks: 2,
    };
    let cached = CachedBlobStore::new(inner, size).unwrap();
    for offset in 0..990 {
        cached.read("a", offset, 10).unwrap();
    }
    assert_eq!(cached.fetched(), 10);
    // The last two blocks are cached, the first one is not.
    cached.read("a", 800, 200).unwrap();
    assert_eq!(cached.fetched(), 10);
    cached.read("a", 0, 1).unwrap();
    assert_eq!(cached.fetched(), 11);
    for size in [
        BlockCacheSize {
            block_bytes: 0,
            ..size
        },
        BlockCacheSize {
            max_blocks: 0,
            ..size
        },
    ] {
        assert!(CachedBlobStore::new(MemoryStore::single("a", vec![]), size).is_err());
    }
}
