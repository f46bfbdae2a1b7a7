//! Batches of a billion samples need little memory. This is the only test of its process, because the memory of the process is
//! measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::{collections::HashSet, sync::Arc};

use peak_alloc::PeakAlloc;
use vlp_data::{
    BatchPlan, BatchSampler, DataError, Examples, LabelSpace, ResizeRule, Sample, Source,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SAMPLES: usize = 1_000_000_000;
const SHARD: usize = 10_000;

/// A hundred thousand shards.
struct Shards(LabelSpace);

impl Source for Shards {
    fn name(&self) -> &str {
        "shards"
    }

    fn len(&self) -> usize {
        SAMPLES
    }

    fn labels(&self) -> &LabelSpace {
        &self.0
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        Err(DataError::Decode {
            name: index.to_string(),
            reason: "no image".into(),
        })
    }

    fn block_starts(&self) -> Vec<usize> {
        (0..SAMPLES).step_by(SHARD).collect()
    }
}

#[test]
fn a_billion_samples_are_batched_in_bounded_memory() {
    let source = Arc::new(Shards(LabelSpace::default()));
    let examples = Examples::new(source, ResizeRule::Square { side: 16 });
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let plan = BatchPlan::new(1, 32).with_window(4096);
    let sampler = BatchSampler::new(plan, examples).unwrap();
    let per_epoch = sampler.batches_per_epoch();
    let mut samples = HashSet::new();
    for epoch in 0..3 {
        samples.clear();
        for number in 0..200 {
            let (batch_epoch, batch) = sampler.batch(epoch * per_epoch + number * 156_007);
            assert_eq!((batch_epoch, batch.len()), (epoch, 32));
            samples.extend(batch);
        }
        assert_eq!(samples.len(), 200 * 32);
    }
    let used = MEMORY.peak_usage() - before;
    // Shards of two epochs, 24 bytes each, and two windows.
    assert!(used < 64 << 20, "{used} bytes");
    println!("peak: {:.1} MiB", used as f64 / f64::from(1 << 20));
}
