//! Batches of a billion samples need little memory. This is the only test of its process, because the memory of the process
//! is measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "common/blocks.rs"]
mod blocks;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use blocks::Blocks;
use peak_alloc::PeakAlloc;
use vlp_data::{BatchPlan, BatchSampler, Examples, ResizeRule};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SAMPLES: usize = 1_000_000_000;
const SHARD: usize = 10_000;

#[test]
fn a_billion_samples_are_batched_in_bounded_memory() {
    // A hundred thousand shards.
    let source = Blocks::new(SAMPLES, (0..SAMPLES).step_by(SHARD).collect());
    let source = Arc::new(source);
    let examples = Examples::new(source, ResizeRule::Square { side: 16 });
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let (mut first, mut others) = (Duration::ZERO, vec![]);
    for lanes in [1, 8] {
        let plan = BatchPlan::new(1, 32).with_window(4096).with_lanes(lanes);
        let sampler = BatchSampler::new(plan, examples.clone()).unwrap();
        let per_epoch = sampler.batches_per_epoch();
        let mut samples = HashSet::new();
        for epoch in 0..3 {
            samples.clear();
            for number in 0..200 {
                let step = epoch * per_epoch + number * 156_007;
                let start = Instant::now();
                let (batch_epoch, batch) = sampler.batch(step).unwrap();
                match number {
                    0 => first = first.max(start.elapsed()),
                    _ => others.push(start.elapsed()),
                }
                assert_eq!((batch_epoch, batch.len()), (epoch, 32));
                samples.extend(batch);
            }
            assert_eq!(samples.len(), 200 * 32);
        }
    }
    let used = MEMORY.peak_usage() - before;
    // Shards of two epochs, 24 bytes each, and two windows of each lane.
    assert!(used < 64 << 20, "{used} bytes");
    others.sort();
    println!(
        "the first batch of an epoch in at most {first:.2?}, of another window in {:.2?} (median) to {:.2?}; peak {:.1} MiB",
        others[others.len() / 2],
        others[others.len() - 1],
        used as f64 / f64::from(1 << 20)
    );
}
