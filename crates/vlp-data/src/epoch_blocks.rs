//! The blocks of a source in the order of an epoch.

use std::ops::Range;

use rand::{RngExt, seq::SliceRandom};

use crate::{Source, rng};

/// Block-wise order of one epoch, from which any run of positions is computed without the rest: memory is proportional to
/// the number of blocks.
#[derive(Debug)]
pub(crate) struct EpochBlocks {
    blocks: Vec<Range<usize>>,
    /// Position after each block.
    ends: Vec<usize>,
    /// Position that comes first.
    offset: usize,
}

impl EpochBlocks {
    /// With a window, the blocks are permuted and rotated by a random offset: window boundaries differ from epoch to epoch,
    /// and any sample may be among the dropped ones. Without one, all samples are one block.
    pub(crate) fn new(source: &dyn Source, [seed, epoch]: [u64; 2], window: usize) -> Self {
        let len = source.len();
        let starts = match (window, source.block_starts()) {
            (0, _) => vec![0],
            (window, starts) if starts.is_empty() => (0..len).step_by(window).collect(),
            (_, starts) => starts,
        };
        let ends = starts.iter().skip(1).copied().chain([len]);
        let mut blocks: Vec<_> = starts
            .iter()
            .zip(ends)
            .map(|(&start, end)| start..end)
            .collect();
        let mut offset = 0;
        if window > 0 {
            let mut rng = rng(seed, epoch, 0, "blocks");
            blocks.shuffle(&mut rng);
            offset = rng.random_range(0..len);
        }
        let mut end = 0;
        let ends = blocks
            .iter()
            .map(|block| {
                end += block.len();
                end
            })
            .collect();
        Self {
            blocks,
            ends,
            offset,
        }
    }

    /// The samples at `positions` of the epoch, fewer where they exceed it.
    pub(crate) fn samples(&self, positions: Range<usize>) -> Vec<usize> {
        let len = self.ends.last().copied().unwrap_or(0);
        let count = positions.end.min(len).saturating_sub(positions.start);
        let mut samples = Vec::with_capacity(count);
        if count == 0 {
            return samples;
        }
        let first = (positions.start + self.offset) % len;
        let first_block = self.ends.partition_point(|&end| end <= first);
        let mut skipped = first + self.blocks[first_block].len() - self.ends[first_block];
        for block in self.blocks.iter().cycle().skip(first_block) {
            let block = block.start + skipped..block.end;
            skipped = 0;
            samples.extend(block.take(count - samples.len()));
            if samples.len() == count {
                break;
            }
        }
        samples
    }
}
