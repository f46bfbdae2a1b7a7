//! A set of a billion samples in a hundred thousand shards is opened by their indices. This is the only test of its process,
//! because the memory of the process is measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "common/mod.rs"]
mod common;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use vlp_data::{
    BatchPlan, BatchSampler, DataError, Examples, ResizeRule, Source,
    shards::{Blob, BlobStore, MANIFEST, PackOptions, ShardOptions, open_indexed, pack},
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SHARDS: usize = 100_000;
const SHARD: usize = 10_000;

/// One packed shard under the names of all.
#[derive(Debug)]
struct Copies {
    manifest: Vec<u8>,
    index: Vec<u8>,
    index_reads: AtomicU64,
}

impl BlobStore for Copies {
    fn name(&self) -> &str {
        "copies"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        Ok(None)
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        let bytes = match name {
            MANIFEST => &self.manifest,
            _ => &self.index,
        };
        Ok(Some(Blob {
            name: name.into(),
            bytes: bytes.len() as u64,
            version: String::new(),
        }))
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        let bytes = match name {
            MANIFEST => &self.manifest,
            _ => {
                assert!(name.ends_with(".idx"), "{name} is read");
                self.index_reads.fetch_add(1, Ordering::SeqCst);
                &self.index
            }
        };
        Ok(bytes[start as usize..start as usize + len].to_vec())
    }
}

fn copies() -> Copies {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    let source = common::source(common::samples(SHARD, 2));
    pack(&source, &set, &PackOptions::default()).unwrap();
    let manifest = fs::read(set.join(MANIFEST)).unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let shard = manifest["shards"][0].clone();
    let shards = (0..SHARDS).map(|number| {
        let mut shard = shard.clone();
        shard["name"] = json!(format!("{number:06}.tar"));
        shard
    });
    manifest["samples"] = json!(SHARDS * SHARD);
    manifest["shards"] = shards.collect();
    Copies {
        manifest: serde_json::to_vec(&manifest).unwrap(),
        index: fs::read(set.join("000000.idx")).unwrap(),
        index_reads: AtomicU64::new(0),
    }
}

#[test]
fn a_billion_samples_are_opened_in_bounded_memory() {
    let store = Arc::new(copies());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let start = Instant::now();
    let options = ShardOptions::default().with_max_index_bytes(16 << 20);
    let source = open_indexed(store.clone(), &options).unwrap().unwrap();
    let source = Arc::new(source);
    assert_eq!(source.len(), SHARDS * SHARD);
    let examples = Examples::new(source, ResizeRule::Square { side: 16 });
    let plan = BatchPlan::new(1, 32).with_window(4096).with_lanes(8);
    let sampler = BatchSampler::new(plan, examples).unwrap();
    let first = sampler.batch(0).unwrap();
    let opened = start.elapsed();
    assert_eq!(first.1.len(), 32);
    // A window of 128 batches is of at most two shards.
    let reads = store.index_reads.load(Ordering::SeqCst);
    assert!((1..=2).contains(&reads), "{reads} indices");
    let batches = |steps: &mut dyn Iterator<Item = u64>| {
        let start = Instant::now();
        let batches: Vec<_> = steps.map(|step| sampler.batch(step).unwrap()).collect();
        start.elapsed() / batches.len() as u32
    };
    let in_order = batches(&mut (1_000_000..1_001_024));
    // Each of another window, of which the indices are read.
    let random = batches(&mut (0..100).map(|number| number * 156_007));
    let used = MEMORY.peak_usage() - before;
    assert!(used < 64 << 20, "{used} bytes");
    println!(
        "opened, with the first batch, in {opened:.2?}; {in_order:.2?} a batch in order, {random:.2?} of another window; peak {:.1} MiB; {} bytes a sample in the index file",
        used as f64 / f64::from(1 << 20),
        store.index.len() / SHARD,
    );
}
