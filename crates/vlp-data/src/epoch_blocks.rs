//! The blocks of a source in the order of an epoch, divided into lanes.

use std::ops::Range;

use rand::{RngExt, seq::SliceRandom};

use crate::{Source, rng};

/// Block-wise order of one epoch. Any range of positions can be computed without the rest, so memory is proportional to the
/// number of blocks.
#[derive(Debug)]
pub(crate) struct EpochBlocks {
    blocks: Vec<Range<usize>>,
    /// Position after each block.
    ends: Vec<usize>,
    lanes: Vec<Lane>,
}

/// A run of positions in the permuted blocks.
#[derive(Debug)]
struct Lane {
    run: Range<usize>,
    /// Position in the run at which the epoch starts.
    offset: usize,
}

impl EpochBlocks {
    /// With a window, the blocks are permuted and divided into `lanes` runs, whose lengths differ by at most 1, and every
    /// run is rotated by a random offset: window boundaries differ from epoch to epoch, and any sample may be among the
    /// dropped ones. Without a window, all samples are one block.
    pub(crate) fn new(
        source: &dyn Source,
        [seed, epoch]: [u64; 2],
        window: usize,
        lanes: usize,
    ) -> Self {
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
        let mut rng = rng(seed, epoch, 0, "blocks");
        if window > 0 {
            blocks.shuffle(&mut rng);
        }
        let start = |lane| len / lanes * lane + len % lanes * lane / lanes;
        let runs = (0..lanes).map(|lane| start(lane)..start(lane + 1));
        let lanes = runs.map(|run| Lane {
            offset: match window {
                0 => 0,
                _ => rng.random_range(0..run.len()),
            },
            run,
        });
        let lanes = lanes.collect();
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
            lanes,
        }
    }

    /// The samples at `positions` of a lane's epoch, fewer where they exceed it.
    pub(crate) fn samples(&self, lane: usize, positions: Range<usize>) -> Vec<usize> {
        let Lane { run, offset } = &self.lanes[lane];
        let end = positions.end.min(run.len());
        let mut samples = Vec::with_capacity(end.saturating_sub(positions.start));
        // The rotated run is its part from `offset` on, then its part before.
        let wrap = run.len() - offset;
        let (first, second) = (
            positions.start.min(wrap)..end.min(wrap),
            positions.start.max(wrap)..end.max(wrap),
        );
        let start = run.start + offset;
        self.extend(&mut samples, start + first.start..start + first.end);
        self.extend(
            &mut samples,
            run.start + second.start - wrap..run.start + second.end - wrap,
        );
        samples
    }

    /// Appends the samples at `positions` in the permuted blocks.
    fn extend(&self, samples: &mut Vec<usize>, mut positions: Range<usize>) {
        let first_block = self.ends.partition_point(|&end| end <= positions.start);
        let blocks = self.blocks.iter().zip(&self.ends).skip(first_block);
        for (block, &end) in blocks {
            if positions.is_empty() {
                return;
            }
            let block_end = positions.end.min(end);
            samples.extend(block.end - (end - positions.start)..block.end - (end - block_end));
            positions.start = block_end;
        }
    }
}
