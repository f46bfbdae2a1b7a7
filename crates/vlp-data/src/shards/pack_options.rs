use std::{num::NonZeroUsize, thread};

use getset::WithSetters;

use super::ShardEntry;
use crate::SkippedRecord;

/// Options for packing a source.
#[derive(Debug, Clone, PartialEq, Eq, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct PackOptions {
    /// Largest size of a shard in bytes, exceeded only if its first sample alone is larger.
    pub shard_bytes: u64,
    /// Largest number of samples in a shard, exceeded only if its first image alone has more.
    pub shard_samples: u64,
    /// Threads that load samples; more than [`Self::MAX_THREADS`] count as that many.
    pub threads: NonZeroUsize,
}

impl PackOptions {
    /// Largest number of threads: each takes 16 samples at a time, and the system has a limit.
    pub const MAX_THREADS: usize = 1024;
}

impl Default for PackOptions {
    /// 256 MiB, 10,000 samples, as many threads as the machine has processors.
    fn default() -> Self {
        Self {
            shard_bytes: 256 << 20,
            shard_samples: 10_000,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Counts and shards of a packed source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackReport {
    /// Number of samples written.
    pub samples: u64,
    /// Number of images (or image pairs) written; consecutive samples of one image share it.
    pub images: u64,
    /// The shards, in order.
    pub shards: Vec<ShardEntry>,
    /// Number of skipped samples.
    pub skipped: u64,
    /// The first 10,000 skipped samples.
    pub skipped_records: Vec<SkippedRecord>,
}
