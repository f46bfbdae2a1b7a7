//! Samples of each batch as a pure function of (plan, image sizes, step).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use getset::WithSetters;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{DataError, Examples, epoch_blocks::EpochBlocks, rng};

/// Samples up to which a whole epoch is permuted at once: 512 MiB of indices.
const MAX_PERMUTED: usize = 1 << 26;
/// Epochs and windows in memory: loader threads may be on both sides of a boundary.
const CACHED: usize = 2;

/// How epochs are shuffled and cut into batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct BatchPlan {
    /// Seed of the permutations and of every random choice about an example.
    pub seed: u64,
    /// Samples per batch, at least 1.
    pub batch_size: usize,
    /// Whether to batch images of similar shapes, which reduces padding.
    pub bucket_by_shape: bool,
    /// 0: an epoch is a permutation of all samples, at most 2^26. Otherwise, for sources that are read shard by shard, the shards
    /// ([`Source::block_starts`](crate::Source::block_starts), or runs of `window` samples) are permuted and their samples
    /// shuffled within windows of this many samples, rounded up to whole batches. Only the shards of one window are read
    /// at a time, and the samples of a batch are from one window. Windows are computed when a batch of them is requested,
    /// so memory does not grow with the number of samples.
    #[serde(default)]
    pub window: usize,
}

impl BatchPlan {
    /// Permutes all samples and ignores their shapes.
    pub fn new(seed: u64, batch_size: usize) -> Self {
        Self {
            seed,
            batch_size,
            bucket_by_shape: false,
            window: 0,
        }
    }
}

/// The batches of a source under a [`BatchPlan`].
///
/// Each epoch is a new permutation of all samples. Its last `len % batch_size` samples are dropped, different ones in each
/// epoch, so that every batch is full; with fewer than `batch_size` samples an epoch is one batch of all of them. With
/// `bucket_by_shape` the permuted epoch, or each window of it, is sorted by the shape after the resize (height in rows of
/// 32 pixels, then width), cut into batches, and the batches are shuffled.
pub struct BatchSampler {
    plan: BatchPlan,
    examples: Examples,
    /// Blocks by epoch, and samples by epoch and window.
    blocks: Cache<u64, EpochBlocks>,
    windows: Cache<(u64, u64), Vec<usize>>,
}

impl BatchSampler {
    /// Batches of `examples.source`, bucketed by the sizes of `examples.resize`. The plan's seed is used.
    ///
    /// # Errors
    /// [`DataError::Config`] if there are no samples, `batch_size` is 0, or `window` is 0 with more than 2^26 samples.
    pub fn new(plan: BatchPlan, examples: Examples) -> Result<Self, DataError> {
        if plan.batch_size == 0 {
            let reason = "0; it must be at least 1".into();
            return Err(DataError::Config {
                field: "plan.batch_size",
                reason,
            });
        }
        if examples.source.is_empty() {
            let reason = format!("{} has no samples", examples.source.name());
            return Err(DataError::Config {
                field: "source",
                reason,
            });
        }
        if plan.window == 0 && examples.source.len() > MAX_PERMUTED {
            let reason = format!(
                "0 permutes all samples in memory, which is for at most {MAX_PERMUTED}; {} has {}. Give a number of samples, such as 4096",
                examples.source.name(),
                examples.source.len()
            );
            return Err(DataError::Config {
                field: "data.window",
                reason,
            });
        }
        examples.resize.check()?;
        let examples = Examples {
            seed: plan.seed,
            ..examples
        };
        Ok(Self {
            plan,
            examples,
            blocks: Cache::default(),
            windows: Cache::default(),
        })
    }

    /// Samples per batch: the plan's `batch_size`, or all samples if there are fewer.
    pub fn batch_size(&self) -> usize {
        self.plan.batch_size.min(self.examples.source.len())
    }

    /// Batches per epoch, at least 1.
    pub fn batches_per_epoch(&self) -> u64 {
        (self.examples.source.len() / self.batch_size()) as u64
    }

    /// The epoch of a step, from 0, and the sample indices of its batch. Steps may be requested in any order; a change of
    /// window costs a permutation of its samples.
    pub fn batch(&self, step: u64) -> (u64, Vec<usize>) {
        let per_epoch = self.batches_per_epoch();
        let (epoch, batch) = (step / per_epoch, (step % per_epoch) as usize);
        let len = self.batch_size();
        let (position, window_len) = (batch * len, self.window_len());
        let number = (position / window_len) as u64;
        let window = self
            .windows
            .get((epoch, number), || self.window(epoch, number));
        let first = position % window_len;
        (epoch, window[first..first + len].to_vec())
    }

    /// Samples per window, a multiple of the batch size.
    fn window_len(&self) -> usize {
        let batch_size = self.batch_size();
        let window = match self.plan.window {
            0 => self.examples.source.len(),
            window => window,
        };
        window.div_ceil(batch_size).saturating_mul(batch_size)
    }

    /// The samples of a window in the order of batches, without those that the epoch drops.
    fn window(&self, epoch: u64, number: u64) -> Vec<usize> {
        let source = &*self.examples.source;
        let (seed, len, batch_size) = (self.plan.seed, source.len(), self.batch_size());
        let first = number as usize * self.window_len();
        let blocks = self.blocks.get(epoch, || {
            EpochBlocks::new(source, [seed, epoch], self.plan.window)
        });
        let mut order = blocks.samples(first..first.saturating_add(self.window_len()));
        order.shuffle(&mut rng(seed, epoch, number, "order"));
        // Truncated before sorting, otherwise the dropped samples would always be the largest.
        order.truncate(len / batch_size * batch_size - first);
        if self.plan.bucket_by_shape {
            self.bucket(&mut order, epoch, number);
        }
        order
    }

    /// Sorts samples by shape and shuffles the batches that this makes.
    fn bucket(&self, order: &mut [usize], epoch: u64, window: u64) {
        // The sort is stable, so samples of equal shape keep their random order. Widths alternately ascend and descend, so
        // that a batch across two rows has similar widths too.
        order.sort_by_cached_key(|&index| {
            let (width, height) = self.examples.target_size(index, epoch);
            let row = height.div_ceil(32);
            let width = if row % 2 == 0 {
                width
            } else {
                usize::MAX - width
            };
            (row, width)
        });
        let mut batches: Vec<&[usize]> = order.chunks_exact(self.batch_size()).collect();
        batches.shuffle(&mut rng(self.plan.seed, epoch, window, "batches"));
        let shuffled = batches.concat();
        order.copy_from_slice(&shuffled);
    }
}

/// The values computed last, the latest at the end.
struct Cache<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, V> Cache<K, V> {
    fn get(&self, key: K, compute: impl FnOnce() -> V) -> Arc<V> {
        // The cache is valid even if poisoned, because a value is computed before the cache changes.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = values.iter().find(|(cached, _)| *cached == key) {
            return value.clone();
        }
        let value = Arc::new(compute());
        if values.len() == CACHED {
            values.remove(0);
        }
        values.push((key, value.clone()));
        value
    }
}

impl fmt::Debug for BatchSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSampler")
            .field("plan", &self.plan)
            .field("examples", &self.examples)
            .finish_non_exhaustive()
    }
}
