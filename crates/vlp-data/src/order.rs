//! Which samples make up a batch: a pure function of (plan, sizes, step).

use std::sync::{Arc, Mutex, PoisonError};

use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{DataError, Examples, rng};

/// How an epoch is cut into batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of the permutations and of every choice about examples.
    pub seed: u64,
    /// Samples in a batch, at least 1.
    pub batch_size: usize,
    /// Whether pictures of equal or near shapes share a batch, so that little is padded.
    pub bucket_by_shape: bool,
    /// 0: an epoch is a permutation of all samples. Else, for shards that are read one after another: the shards are
    /// permuted ([`Source::blocks`](crate::Source::blocks); runs of `window` samples where there are none), and their
    /// samples are shuffled within windows of so many, rounded up to whole batches. What is read at a time is then the
    /// shards of one window, and what shares a batch is from one window.
    #[serde(default)]
    pub window: usize,
}

/// The batches of a source under a [`Plan`].
///
/// Each epoch is a fresh permutation of all samples. Of it, the last `len % batch_size` samples sit the epoch out, others
/// each time: every batch is full. Only where there are fewer samples than `batch_size` an epoch is one smaller batch of
/// them all. With `bucket_by_shape` the permuted epoch, or each window of it, is sorted by the shape after the resize (rows
/// of 32 pixels, then width), cut, and the batches are shuffled.
pub struct Order {
    plan: Plan,
    examples: Examples,
    /// The epoch computed last; it is only a cache.
    cache: Mutex<Option<(u64, Arc<Vec<usize>>)>>,
}

impl Order {
    /// The order of `examples.source`; shapes are those of `examples.resize`. The seed is the plan's.
    ///
    /// # Errors
    /// [`DataError::Config`] when there are no samples or `batch_size` is 0.
    pub fn new(plan: Plan, examples: Examples) -> Result<Self, DataError> {
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

    /// Samples in a batch.
    pub fn batch_len(&self) -> usize {
        self.plan.batch_size.min(self.examples.source.len())
    }

    /// Batches in an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> u64 {
        (self.examples.source.len() / self.batch_len()) as u64
    }

    /// The epoch of a step, counted from 0, and the samples of its batch. Any step in any order; steps of the epoch asked
    /// for last are cheap.
    pub fn batch(&self, step: u64) -> (u64, Vec<usize>) {
        let per_epoch = self.batches_per_epoch();
        let (epoch, batch) = (step / per_epoch, (step % per_epoch) as usize);
        let order = self.epoch(epoch);
        let len = self.batch_len();
        (epoch, order[batch * len..(batch + 1) * len].to_vec())
    }

    fn epoch(&self, epoch: u64) -> Arc<Vec<usize>> {
        // A poisoned cache still holds a whole value: it is replaced at once.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, order)) = cache.as_ref()
            && *cached == epoch
        {
            return order.clone();
        }
        let order = Arc::new(self.compute(epoch));
        *cache = Some((epoch, order.clone()));
        order
    }

    fn compute(&self, epoch: u64) -> Vec<usize> {
        let (seed, len) = (self.plan.seed, self.batch_len());
        let samples = self.examples.source.len();
        let whole = samples / len * len;
        if self.plan.window == 0 {
            let mut order: Vec<usize> = (0..samples).collect();
            order.shuffle(&mut rng(seed, epoch, 0, "order"));
            // Cut before sorting: otherwise the samples left out would always be the largest.
            order.truncate(whole);
            if self.plan.bucket_by_shape {
                self.bucket(&mut order, epoch, 0);
            }
            return order;
        }
        let mut order = self.by_blocks(epoch);
        let window = self.plan.window.div_ceil(len).saturating_mul(len);
        for (part, number) in order.chunks_mut(window).zip(0..) {
            part.shuffle(&mut rng(seed, epoch, number, "order"));
        }
        order.truncate(whole);
        if self.plan.bucket_by_shape {
            for (part, number) in order.chunks_mut(window).zip(0..) {
                self.bucket(part, epoch, number);
            }
        }
        order
    }

    /// All samples, their blocks permuted, from somewhere in a block on: windows lie elsewhere in every epoch, and any
    /// sample may be among those that sit it out.
    fn by_blocks(&self, epoch: u64) -> Vec<usize> {
        let source = &self.examples.source;
        let mut starts = source.blocks();
        if starts.is_empty() {
            starts = (0..source.len()).step_by(self.plan.window).collect();
        }
        let ends = starts.iter().skip(1).copied().chain([source.len()]);
        let mut blocks: Vec<_> = starts
            .iter()
            .zip(ends)
            .map(|(&from, to)| from..to)
            .collect();
        let mut rng = rng(self.plan.seed, epoch, 0, "blocks");
        blocks.shuffle(&mut rng);
        let mut order: Vec<usize> = blocks.into_iter().flatten().collect();
        order.rotate_left(rng.random_range(0..source.len()));
        order
    }

    /// Sorts whole batches by shape, and shuffles the batches.
    fn bucket(&self, order: &mut [usize], epoch: u64, number: u64) {
        // Stable, so samples of one shape keep their random order. Widths run up and down in turn, so that a batch at the
        // border of two rows holds near widths as well.
        order.sort_by_cached_key(|&index| {
            let (width, height) = self.examples.target(index, epoch);
            let row = height.div_ceil(32);
            (
                row,
                if row % 2 == 0 {
                    width
                } else {
                    usize::MAX - width
                },
            )
        });
        let mut batches: Vec<&[usize]> = order.chunks_exact(self.batch_len()).collect();
        batches.shuffle(&mut rng(self.plan.seed, epoch, number, "batches"));
        let shuffled = batches.concat();
        order.copy_from_slice(&shuffled);
    }
}

/// Where the runs start when samples of a source with `blocks` are taken in the order `inner`; none without blocks.
pub(crate) fn runs(blocks: &[usize], inner: impl Iterator<Item = usize>) -> Vec<usize> {
    if blocks.is_empty() {
        return Vec::new();
    }
    let mut last = None;
    let mut starts = Vec::new();
    for (at, inner) in inner.enumerate() {
        let block = blocks.partition_point(|&start| start <= inner);
        if last != Some(block) {
            last = Some(block);
            starts.push(at);
        }
    }
    starts
}
