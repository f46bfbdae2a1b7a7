//! The samples of each batch, a pure function of (plan, image sizes, step).

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use getset::WithSetters;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{DataError, Examples, Source, epoch_blocks::EpochBlocks, rng};

/// Maximum number of samples for which a whole epoch is permuted at once: 512 MiB of indices for each of two epochs.
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
    /// 0: an epoch is a permutation of all samples, at most 2^26. Otherwise, for sources that are read shard by shard,
    /// the shards ([`Source::block_starts`], or runs of `window` samples) are permuted and their samples shuffled
    /// within windows of this many samples, rounded up to whole batches. Only the shards of one window are read at a
    /// time, and the samples of a batch are from one window. Windows are computed when a batch of them is requested, so
    /// memory grows with the number of shards or runs, not with that of samples: 24 bytes each for each of two epochs.
    #[serde(default)]
    pub window: usize,
    /// Parts of the permuted shards that are read in turn: batch `n * lanes + k` is the `n`-th batch of lane `k`, which
    /// has windows of its own. With as many lanes as micro-batches in a training step, micro-batch `k` of every step reads
    /// the shards of lane `k`, so that processes with different micro-batches read different shards in an epoch, except for
    /// a shard at the boundary of two lanes. 1: all batches of an epoch are in one sequence. Others need a `window`.
    #[serde(default = "one")]
    pub lanes: usize,
}

fn one() -> usize {
    1
}

impl BatchPlan {
    /// A plan that permutes all samples and ignores their shapes.
    pub fn new(seed: u64, batch_size: usize) -> Self {
        Self {
            seed,
            batch_size,
            bucket_by_shape: false,
            window: 0,
            lanes: 1,
        }
    }
}

/// The batches of a source under a [`BatchPlan`].
///
/// Each epoch is a new permutation of all samples. Its last `len % (lanes * batch_size)` samples are dropped, different
/// ones in each epoch, so that every batch is full; with fewer than `batch_size` samples an epoch is one batch of all
/// of them. With `bucket_by_shape` the permuted epoch, or each window of it, is sorted by the shape after the resize
/// (height in rows of 32 pixels, then width), cut into batches, and the batches are shuffled.
pub struct BatchSampler {
    plan: BatchPlan,
    examples: Examples,
    /// Blocks by epoch, and samples by epoch and window.
    blocks: Cache<u64, EpochBlocks>,
    /// By lane.
    windows: Vec<Cache<(u64, u64), Vec<usize>>>,
}

/// A batch as a part of its window.
pub(crate) struct WindowBatch {
    pub(crate) epoch: u64,
    /// The samples of the window.
    pub(crate) window: Arc<Vec<usize>>,
    /// The batch, as indices into `window`.
    pub(crate) range: Range<usize>,
}

impl BatchSampler {
    /// Batches of `examples.source`, bucketed by the sizes of `examples.resize`. The plan's seed is used.
    ///
    /// # Errors
    /// [`DataError::Config`] if there are no samples, `batch_size` is 0, `window` is 0 with more than 2^26 samples, or
    /// `lanes` is 0, needs a window, or needs more samples.
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
        check_lanes(&plan, examples.source.as_ref())?;
        examples.resize.check()?;
        let examples = Examples {
            seed: plan.seed,
            ..examples
        };
        let windows = (0..plan.lanes).map(|_| Cache::default());
        Ok(Self {
            windows: windows.collect(),
            plan,
            examples,
            blocks: Cache::default(),
        })
    }

    /// Samples per batch: the plan's `batch_size`, or all samples if there are fewer.
    pub fn batch_size(&self) -> usize {
        self.plan.batch_size.min(self.examples.source.len())
    }

    /// Batches per epoch, at least 1 and a multiple of the lanes.
    pub fn batches_per_epoch(&self) -> u64 {
        (self.plan.lanes * self.batches_per_lane()) as u64
    }

    fn batches_per_lane(&self) -> usize {
        self.examples.source.len() / self.plan.lanes / self.batch_size()
    }

    /// The epoch of a step, from 0, and the sample indices of its batch. Steps may be requested in any order; a change of
    /// window costs a permutation of its samples.
    ///
    /// # Errors
    /// If the source cannot [prepare](crate::Source::prepare) the samples of the window.
    pub fn batch(&self, step: u64) -> Result<(u64, Vec<usize>), DataError> {
        let batch = self.window_batch(step)?;
        Ok((batch.epoch, batch.window[batch.range].to_vec()))
    }

    /// As [`batch`](Self::batch), and the window of the batch.
    pub(crate) fn window_batch(&self, step: u64) -> Result<WindowBatch, DataError> {
        let per_epoch = self.batches_per_epoch();
        let (epoch, batch) = (step / per_epoch, (step % per_epoch) as usize);
        let (batch, lane) = (batch / self.plan.lanes, batch % self.plan.lanes);
        let len = self.batch_size();
        let (position, window_len) = (batch * len, self.window_len());
        let number = (position / window_len) as u64;
        let window =
            self.windows[lane].get((epoch, number), || self.window(epoch, lane, number))?;
        let first = position % window_len;
        Ok(WindowBatch {
            epoch,
            window,
            range: first..first + len,
        })
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

    /// The samples of a lane's window in the order of batches, without those that the epoch drops.
    fn window(&self, epoch: u64, lane: usize, number: u64) -> Result<Vec<usize>, DataError> {
        let source = &*self.examples.source;
        let BatchPlan {
            seed,
            window,
            lanes,
            ..
        } = self.plan;
        let first = number as usize * self.window_len();
        let new_blocks = || Ok(EpochBlocks::new(source, [seed, epoch], window, lanes));
        let blocks = self.blocks.get(epoch, new_blocks)?;
        let mut order = blocks.samples(lane, first..first.saturating_add(self.window_len()));
        // In the order of the shards.
        order.iter().try_for_each(|&index| source.prepare(index))?;
        // Of one lane, the number itself.
        let number = (lane as u64) << 40 | number;
        order.shuffle(&mut rng(seed, epoch, number, "order"));
        // Truncated before sorting, otherwise the dropped samples would always be the largest.
        order.truncate(self.batches_per_lane() * self.batch_size() - first);
        if self.plan.bucket_by_shape {
            self.bucket(&mut order, epoch, number);
        }
        Ok(order)
    }

    /// Sorts samples by shape, cuts them into batches, and shuffles the batches.
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

fn check_lanes(plan: &BatchPlan, source: &dyn Source) -> Result<(), DataError> {
    let (lanes, len) = (plan.lanes, source.len());
    let reason = match lanes {
        0 => "0; it must be at least 1".to_owned(),
        1 => return Ok(()),
        _ if plan.window == 0 => format!(
            "{lanes}, but data.window is 0; lanes are read in windows, of 4096 samples, for example"
        ),
        _ if len / lanes < plan.batch_size => format!(
            "{lanes}, which takes {lanes} batches of {}; {} has {len} samples",
            plan.batch_size,
            source.name()
        ),
        _ => return Ok(()),
    };
    Err(DataError::Config {
        field: "data.lanes",
        reason,
    })
}

/// The values computed last, the latest at the end.
struct Cache<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, V> Cache<K, V> {
    fn get(
        &self,
        key: K,
        compute: impl FnOnce() -> Result<V, DataError>,
    ) -> Result<Arc<V>, DataError> {
        // The cache is valid even if poisoned, because a value is computed before the cache changes.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = values.iter().find(|(cached, _)| *cached == key) {
            return Ok(value.clone());
        }
        let value = Arc::new(compute()?);
        if values.len() == CACHED {
            values.remove(0);
        }
        values.push((key, value.clone()));
        Ok(value)
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
