//! The cache of blocks.

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
    shards::{Blob, Blobs, CacheSize, Cached},
};

use crate::Memory;

/// Slow, and failing for the first few reads.
struct Slow {
    inner: Arc<Memory>,
    fails: AtomicU64,
}

impl Blobs for Slow {
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
        let left = |fails: u64| fails.checked_sub(1);
        if self
            .fails
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_ok()
        {
            return Err(DataError::Worker("gone for now".into()));
        }
        self.inner.read(name, start, len)
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 253) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_read_is_the_files_own(len in 1..500_usize, block in 1..64_usize, blocks in 1..5_usize, reads in prop::collection::vec((any::<usize>(), any::<usize>()), 1..20)) {
        let whole = bytes(len);
        let cached = Cached::new(Memory::of("a", whole.clone()), CacheSize { block, blocks }).unwrap();
        for (start, many) in reads {
            let start = start % len;
            let many = many % (len - start + 1);
            prop_assert_eq!(cached.read("a", start as u64, many).unwrap(), &whole[start..start + many]);
        }
        let beyond = cached.read("a", 0, len + 1).unwrap_err().to_string();
        prop_assert!(beyond.contains(&format!("it has {len} bytes")), "{}", beyond);
    }
}

#[test]
fn threads_that_want_one_block_wait_for_one_read() {
    for fails in [0, 3] {
        let inner = Memory::of("a", bytes(1000));
        let slow = Slow {
            inner: inner.clone(),
            fails: AtomicU64::new(fails),
        };
        let size = CacheSize {
            block: 100,
            blocks: 10,
        };
        let cached = Cached::new(Arc::new(slow), size).unwrap();
        let together = Barrier::new(8);
        let errors: usize = thread::scope(|scope| {
            let read = || {
                together.wait();
                let read = |at: u64| cached.read("a", at * 100, 100);
                (0..10).filter(|&at| read(at).is_err()).count()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        // A read that fails is the error of the one that made it; the others try again.
        assert_eq!(errors as u64, fails);
        assert_eq!(inner.reads.load(Ordering::SeqCst), 10);
        assert_eq!(cached.fetched(), 10 + fails);
    }
}

#[test]
fn reads_that_go_on_are_few_and_what_is_old_goes() {
    let inner = Memory::of("a", bytes(1000));
    let size = CacheSize {
        block: 100,
        blocks: 2,
    };
    let cached = Cached::new(inner, size).unwrap();
    for at in 0..990 {
        cached.read("a", at, 10).unwrap();
    }
    assert_eq!(cached.fetched(), 10);
    // The last two are there; the first is not.
    cached.read("a", 800, 200).unwrap();
    assert_eq!(cached.fetched(), 10);
    cached.read("a", 0, 1).unwrap();
    assert_eq!(cached.fetched(), 11);
    for wrong in [
        CacheSize { block: 0, ..size },
        CacheSize { blocks: 0, ..size },
    ] {
        assert!(Cached::new(Memory::of("a", vec![]), wrong).is_err());
    }
}
