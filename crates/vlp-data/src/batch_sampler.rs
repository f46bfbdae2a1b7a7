//! Samples of each batch as a pure function of (plan, image sizes, step).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{DataError, Examples, rng};

/// How epochs are shuffled and cut into batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchPlan {
    /// Seed of the permutations and of every random choice about an example.
    pub seed: u64,
    /// Samples per batch, at least 1.
    pub batch_size: usize,
    /// Whether to batch images of similar shapes, which reduces padding.
    pub bucket_by_shape: bool,
    /// 0: an epoch is a permutation of all samples. Otherwise, for sources that are read shard by shard, the shards
    /// ([`Source::block_starts`](crate::Source::block_starts), or runs of `window` samples) are permuted and their samples
    /// shuffled within windows of this many samples, rounded up to whole batches. Only the shards of one window are read
    /// at a time, and the samples of a batch are from one window.
    #[serde(default)]
    pub window: usize,
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
    /// The epoch computed last and its samples.
    cache: Mutex<Option<(u64, Arc<Vec<usize>>)>>,
}

impl BatchSampler {
    /// Batches of `examples.source`, bucketed by the sizes of `examples.resize`. The plan's seed is used.
    ///
    /// # Errors
    /// [`DataError::Config`] if there are no samples or `batch_size` is 0.
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
        examples.resize.check()?;
        let examples = Examples {
            seed: plan.seed,
            ..examples
        };
        Ok(Self {
            plan,
            examples,
            cache: Mutex::new(None),
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
    /// epoch costs a permutation of all samples.
    pub fn batch(&self, step: u64) -> (u64, Vec<usize>) {
        let per_epoch = self.batches_per_epoch();
        let (epoch, batch) = (step / per_epoch, (step % per_epoch) as usize);
        let order = self.epoch(epoch);
        let len = self.batch_size();
        (epoch, order[batch * len..(batch + 1) * len].to_vec())
    }

    fn epoch(&self, epoch: u64) -> Arc<Vec<usize>> {
        // The cache is valid even if poisoned, because it is replaced by one assignment.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached_epoch, order)) = cache.as_ref()
            && *cached_epoch == epoch
        {
            return order.clone();
        }
        let order = Arc::new(self.permute(epoch));
        *cache = Some((epoch, order.clone()));
        order
    }

    fn permute(&self, epoch: u64) -> Vec<usize> {
        let (seed, batch_size) = (self.plan.seed, self.batch_size());
        let samples = self.examples.source.len();
        let full_batches = samples / batch_size * batch_size;
        if self.plan.window == 0 {
            let mut order: Vec<usize> = (0..samples).collect();
            order.shuffle(&mut rng(seed, epoch, 0, "order"));
            // Truncated before sorting, otherwise the dropped samples would always be the largest.
            order.truncate(full_batches);
            if self.plan.bucket_by_shape {
                self.bucket(&mut order, epoch, 0);
            }
            return order;
        }
        let mut order = self.permute_blocks(epoch);
        let window = self
            .plan
            .window
            .div_ceil(batch_size)
            .saturating_mul(batch_size);
        for (window, number) in order.chunks_mut(window).zip(0..) {
            window.shuffle(&mut rng(seed, epoch, number, "order"));
        }
        order.truncate(full_batches);
        if self.plan.bucket_by_shape {
            for (window, number) in order.chunks_mut(window).zip(0..) {
                self.bucket(window, epoch, number);
            }
        }
        order
    }

    /// All samples with their blocks permuted, rotated by a random offset: window boundaries differ from epoch to epoch,
    /// and any sample may be among the dropped ones.
    fn permute_blocks(&self, epoch: u64) -> Vec<usize> {
        let source = &self.examples.source;
        let mut starts = source.block_starts();
        if starts.is_empty() {
            starts = (0..source.len()).step_by(self.plan.window).collect();
        }
        let ends = starts.iter().skip(1).copied().chain([source.len()]);
        let mut blocks: Vec<_> = starts
            .iter()
            .zip(ends)
            .map(|(&start, end)| start..end)
            .collect();
        let mut rng = rng(self.plan.seed, epoch, 0, "blocks");
        blocks.shuffle(&mut rng);
        let mut order: Vec<usize> = blocks.into_iter().flatten().collect();
        order.rotate_left(rng.random_range(0..source.len()));
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

impl fmt::Debug for BatchSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSampler")
            .field("plan", &self.plan)
            .field("examples", &self.examples)
            .finish_non_exhaustive()
    }
}
