//! The sum of all micro-batches of a step, on every rank.

use std::ops::Range;

use crate::tree::combine;
use crate::{ProcessGroup, greatest_nodes, micro_batches_of_rank};

/// Bytes of a bucket, unless there are so many ranks that their chunks would be smaller than [`CHUNK_BYTES`].
const BUCKET_BYTES: usize = 25_000_000;
const CHUNK_BYTES: usize = 64 * 1024;

/// MPI counts values as C ints.
const MAX_COUNT: usize = i32::MAX as usize;

/// Sum of the values of all micro-batches of a step, from the partial sums of every rank; see [`TreeReducer::sum`].
///
/// Allocates its buffers in each call; [`TreeReducer`] reuses them.
///
/// # Panics
///
/// As [`TreeReducer::sum`].
pub fn tree_sum(
    group: &dyn ProcessGroup,
    micro_batches: usize,
    partials: &[Vec<f32>],
    length: usize,
) -> Vec<f32> {
    let mut total = vec![0.0; length];
    TreeReducer::default().sum(group, micro_batches, partials, &mut total);
    total
}

/// Sums over ranks that are bit-identical for any number of ranks, with buffers that are reused from call to call.
///
/// Each rank owns a chunk of every bucket of 25 MB: it receives the chunk's partial sums from all ranks, adds them along the
/// [tree](crate::greatest_nodes), and all ranks gather the sums.
/// With P ranks, a rank with n partial sums sends (n + 1) (P - 1) / P times the number of values; with n = 1 this is what a
/// ring all-reduce sends.
#[derive(Debug, Default, Clone)]
pub struct TreeReducer {
    /// Values of a bucket, for tests.
    bucket_length: Option<usize>,
    /// Parts of a bucket by receiving rank, then by node.
    send: Vec<f32>,
    /// This rank's chunk of a bucket by node, from left to right.
    received: Vec<f32>,
}

impl TreeReducer {
    /// Writes the sum of the values of all micro-batches to `total`; collective.
    ///
    /// The bits are those of a [`TreeSum`](crate::TreeSum) over all `micro_batches` in one process, for any number of ranks.
    /// `partials` are the results of this rank's `TreeSum` over its
    /// [micro-batches](crate::micro_batches_of_rank), as many values in each as in `total`, the same number on every rank.
    ///
    /// All micro-batches must have a value at every index.
    /// If one has none, because a parameter has no gradient in it, the value is -0.0: the neutral element of IEEE 754
    /// addition, which changes no bit of the sum (+0.0 would turn -0.0 into +0.0).
    ///
    /// # Panics
    ///
    /// If there are no micro-batches, the number of partial sums is not that of the rank's nodes, or a length differs.
    pub fn sum(
        &mut self,
        group: &dyn ProcessGroup,
        micro_batches: usize,
        partials: &[Vec<f32>],
        total: &mut [f32],
    ) {
        assert!(micro_batches > 0, "a step has micro-batches");
        let (rank, world_size) = (group.rank(), group.world_size());
        let nodes: Vec<Vec<Range<usize>>> = (0..world_size)
            .map(|rank| micro_batches_of_rank(rank, world_size, micro_batches))
            .map(|range| greatest_nodes(micro_batches, &range))
            .collect();
        assert_eq!(
            partials.len(),
            nodes[rank].len(),
            "a partial sum for each node"
        );
        for partial in partials {
            assert_eq!(
                partial.len(),
                total.len(),
                "partial sums are as long as the sum"
            );
        }
        if let ([partial], 1) = (partials, world_size) {
            total.copy_from_slice(partial);
            return;
        }
        let bucket_length = self.bucket_length.unwrap_or_else(|| {
            let most_nodes = nodes.iter().map(Vec::len).max().unwrap_or(1);
            bucket_length(world_size, most_nodes)
        });
        for (index, bucket) in total.chunks_mut(bucket_length).enumerate() {
            let start = index * bucket_length;
            self.sum_bucket(group, micro_batches, &nodes, partials, start, bucket);
        }
    }

    /// Sums the values of a bucket that starts at `start`.
    fn sum_bucket(
        &mut self,
        group: &dyn ProcessGroup,
        micro_batches: usize,
        nodes: &[Vec<Range<usize>>],
        partials: &[Vec<f32>],
        start: usize,
        bucket: &mut [f32],
    ) {
        let (rank, world_size) = (group.rank(), group.world_size());
        let chunks: Vec<Range<usize>> = (0..world_size)
            .map(|rank| chunk(rank, world_size, bucket.len()))
            .collect();
        let chunk_lengths: Vec<usize> = chunks.iter().map(Range::len).collect();
        let length = chunk_lengths[rank];

        let send = if let [partial] = partials {
            &partial[start..start + bucket.len()]
        } else {
            self.send.clear();
            for chunk in &chunks {
                for partial in partials {
                    self.send
                        .extend_from_slice(&partial[start + chunk.start..start + chunk.end]);
                }
            }
            &self.send
        };
        let send_counts: Vec<usize> = chunk_lengths
            .iter()
            .map(|length| length * partials.len())
            .collect();
        let receive_counts: Vec<usize> = nodes.iter().map(|nodes| nodes.len() * length).collect();
        self.received.resize(receive_counts.iter().sum(), 0.0);
        group.all_to_all(send, &send_counts, &mut self.received, &receive_counts);

        // Right parts are added into left ones, so that the sum ends up at the first node's values.
        let received = &mut self.received[..];
        let nodes = nodes.iter().flatten().cloned().enumerate();
        let mut offsets = nodes.map(|(index, node)| (node, index * length));
        combine(0..micro_batches, &mut offsets, &mut |left, right| {
            let (head, tail) = received.split_at_mut(right);
            for (sum, value) in head[left..left + length].iter_mut().zip(tail) {
                *sum += *value;
            }
            left
        });
        group.all_gather_values(&self.received[..length], &chunk_lengths, bucket);
    }
}

/// The chunk of `length` values that a rank owns.
fn chunk(rank: usize, world_size: usize, length: usize) -> Range<usize> {
    rank * length / world_size..(rank + 1) * length / world_size
}

/// Number of values of a bucket: chunks are long enough to be worth a message, and no count or offset exceeds [`MAX_COUNT`]
/// for ranks with up to `most_nodes` partial sums.
fn bucket_length(world_size: usize, most_nodes: usize) -> usize {
    let length = BUCKET_BYTES.max(CHUNK_BYTES * world_size) / size_of::<f32>();
    // A rank receives at most `most_nodes` chunks of at most `length / world_size + 1` values from each rank.
    let longest = MAX_COUNT / most_nodes.max(1) - world_size;
    length.min(longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{mixed_sizes, run_ranks};
    use crate::{SingleProcess, TreeSum};

    fn add(mut left: Vec<f32>, right: Vec<f32>) -> Vec<f32> {
        left.iter_mut()
            .zip(right)
            .for_each(|(left, right)| *left += right);
        left
    }

    fn partials(leaves: &[Vec<f32>], range: Range<usize>) -> Vec<Vec<f32>> {
        let mut sum = TreeSum::new(leaves.len(), range.clone());
        leaves[range]
            .iter()
            .for_each(|leaf| sum.push(leaf.clone(), add));
        sum.finish()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn leaves(micro_batches: usize, length: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut values = mixed_sizes(seed | 1);
        let mut leaf = |_| values.by_ref().take(length).collect();
        (0..micro_batches).map(&mut leaf).collect()
    }

    fn on_ranks(world_size: usize, leaves: &[Vec<f32>], bucket: Option<usize>) -> Vec<Vec<f32>> {
        let length = leaves[0].len();
        run_ranks(world_size, |group| {
            let range = micro_batches_of_rank(group.rank(), world_size, leaves.len());
            let mut reducer = TreeReducer {
                bucket_length: bucket,
                ..TreeReducer::default()
            };
            let mut total = vec![f32::NAN; length];
            // The second time with used buffers.
            for _ in 0..2 {
                reducer.sum(
                    &*group,
                    leaves.len(),
                    &partials(leaves, range.clone()),
                    &mut total,
                );
            }
            total
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_number_of_ranks_gives_the_bits_of_one_process(
            micro_batches in 1usize..=17,
            length in 0usize..40,
            bucket in 1usize..50,
            seed: u64,
        ) {
            let leaves = leaves(micro_batches, length, seed);
            let expected = partials(&leaves, 0..micro_batches);
            // More ranks than micro-batches: some have no partial sum.
            for world_size in 1..=micro_batches + 2 {
                for total in on_ranks(world_size, &leaves, Some(bucket)) {
                    prop_assert_eq!(bits(&total), bits(&expected[0]), "{} ranks", world_size);
                }
            }
        }
    }

    #[test]
    fn all_pairs_of_ranks_and_micro_batches_give_the_bits_of_one_process() {
        for micro_batches in 1..=17 {
            let leaves = leaves(micro_batches, 29, 5);
            let expected = partials(&leaves, 0..micro_batches);
            for world_size in 1..=micro_batches {
                for total in on_ranks(world_size, &leaves, None) {
                    assert_eq!(bits(&total), bits(&expected[0]));
                }
            }
        }
    }

    #[test]
    fn another_order_of_addition_gives_other_bits_so_that_these_tests_can_fail() {
        let leaves = leaves(8, 29, 5);
        let left_to_right = leaves.clone().into_iter().reduce(add).unwrap_or_default();
        assert_ne!(bits(&left_to_right), bits(&partials(&leaves, 0..8)[0]));
    }

    #[test]
    fn absent_values_change_no_bit() {
        let values = [1.5, -0.0, 0.0, f32::INFINITY, f32::MIN_POSITIVE / 2.0];
        let mut leaves = vec![vec![-0.0; values.len()]; 5];
        for present in 0..5 {
            leaves[present] = values.to_vec();
            for total in on_ranks(3, &leaves, Some(2)) {
                assert_eq!(bits(&total), bits(&values));
            }
            leaves[present].fill(-0.0);
        }
    }

    #[test]
    fn one_process_needs_no_exchange() {
        let partials = vec![vec![1.0, 2.0]];
        assert_eq!(tree_sum(&SingleProcess, 4, &partials, 2), partials[0]);
    }

    #[test]
    #[should_panic(expected = "a partial sum for each node")]
    fn partial_sums_that_are_not_those_of_the_nodes_are_refused() {
        tree_sum(&SingleProcess, 4, &[vec![1.0], vec![2.0]], 1);
    }

    #[test]
    fn counts_of_a_bucket_fit_a_c_int() {
        assert_eq!(bucket_length(4, 1), 6_250_000);
        assert_eq!(bucket_length(1024, 2), 1024 * 16384);
        for (world_size, most_nodes) in [(16_384, 28), (100_000, 1), (1_000_000, 40)] {
            let length = bucket_length(world_size, most_nodes);
            assert!(length > world_size, "{length}");
            assert!(length * most_nodes <= MAX_COUNT);
            let received = world_size * most_nodes * length.div_ceil(world_size);
            assert!(received <= MAX_COUNT, "{received}");
        }
    }
}
