//! Windows are computed on demand, in the order that permuting the whole epoch gives.

use std::{collections::HashSet, sync::Arc};

use rand::{RngExt, seq::SliceRandom};
use vlp_data::{
    BatchPlan, BatchSampler, Examples, Mixture, MixtureComponent, ResizeRule, Source as _, rng,
};

use crate::blocks::Blocks;

fn sampler(blocks: &Blocks, plan: &BatchPlan) -> BatchSampler {
    let examples = Examples::new(Arc::new(blocks.clone()), ResizeRule::Square { side: 16 });
    BatchSampler::new(plan.clone(), examples).unwrap()
}

/// The order of an epoch without shape buckets, all at once.
fn permute(blocks: &Blocks, plan: &BatchPlan, epoch: u64) -> Vec<usize> {
    let batch_size = plan.batch_size.min(blocks.len);
    let mut order: Vec<usize> = (0..blocks.len).collect();
    let mut window = blocks.len;
    if plan.window > 0 {
        let starts = match blocks.starts.is_empty() {
            true => (0..blocks.len).step_by(plan.window).collect(),
            false => blocks.starts.clone(),
        };
        let ends = starts.iter().skip(1).copied().chain([blocks.len]);
        let mut ranges: Vec<_> = starts.iter().zip(ends).map(|(&a, b)| a..b).collect();
        let mut rng = rng(plan.seed, epoch, 0, "blocks");
        ranges.shuffle(&mut rng);
        order = ranges.into_iter().flatten().collect();
        order.rotate_left(rng.random_range(0..blocks.len));
        window = plan.window.div_ceil(batch_size) * batch_size;
    }
    for (number, window) in order.chunks_mut(window).enumerate() {
        window.shuffle(&mut rng(plan.seed, epoch, number as u64, "order"));
    }
    order.truncate(blocks.len / batch_size * batch_size);
    order
}

#[test]
fn batches_equal_those_of_the_whole_permutation() {
    let uneven = [0, 3, 4, 40, 41, 200, 317, 318].to_vec();
    for (len, starts) in [
        (1, vec![]),
        (7, vec![0]),
        (320, vec![]),
        (331, uneven),
        (1000, (0..1000).step_by(10).collect()),
        // Empty blocks.
        (30, vec![0, 0, 12, 12, 12, 29]),
    ] {
        let blocks = Blocks::new(len, starts);
        for (batch_size, window) in [(1, 1), (4, 0), (4, 1), (4, 6), (8, 64), (5, 10_000)] {
            let plan = BatchPlan::new(9, batch_size).with_window(window);
            let sampler = sampler(&blocks, &plan);
            for epoch in [0, 1, 5] {
                let order = permute(&blocks, &plan, epoch);
                let steps = epoch * sampler.batches_per_epoch()..;
                // From the end, so that windows are requested in another order.
                let batches = order.chunks(sampler.batch_size()).zip(steps);
                for (batch, step) in batches.collect::<Vec<_>>().into_iter().rev() {
                    let expected = (epoch, batch.to_vec());
                    assert_eq!(sampler.batch(step).unwrap(), expected, "{len}, {plan:?}");
                }
            }
        }
    }
}

/// Recorded from the sampler that permuted whole epochs, with shape buckets.
#[test]
fn the_order_with_buckets_equals_recorded_values() {
    let blocks = Blocks::new(331, vec![0, 3, 4, 40, 41, 200, 317, 318]);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for window in [0, 16, 100] {
        let plan = BatchPlan::new(9, 8)
            .with_window(window)
            .with_bucket_by_shape(true);
        let sampler = sampler(&blocks, &plan);
        for step in 0..3 * sampler.batches_per_epoch() {
            for index in sampler.batch(step).unwrap().1 {
                hash = (hash ^ index as u64).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    assert_eq!(hash, RECORDED);
}

const RECORDED: u64 = 18_328_330_110_526_622_380;

#[test]
fn ranks_share_an_epoch_without_gaps() {
    let blocks = Blocks::new(50_003, (0..50_003).step_by(97).collect());
    let plan = BatchPlan::new(4, 8).with_window(512);
    for ranks in [1, 2, 7, 1024] {
        let mut samples = HashSet::new();
        for rank in 0..ranks {
            // Each rank has a sampler of its own and takes every `ranks`-th batch.
            let sampler = sampler(&blocks, &plan);
            for step in (rank..sampler.batches_per_epoch()).step_by(ranks as usize) {
                for index in sampler.batch(step).unwrap().1 {
                    assert!(samples.insert(index), "{index} twice, {ranks} ranks");
                }
            }
        }
        assert_eq!(samples.len(), 50_003 / 8 * 8, "{ranks} ranks");
    }
}

#[test]
fn a_permutation_of_too_many_samples_is_refused() {
    let blocks = Blocks::new((1 << 26) + 1, vec![]);
    let examples = Examples::new(Arc::new(blocks), ResizeRule::Square { side: 16 });
    let error = BatchSampler::new(BatchPlan::new(1, 32), examples.clone()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("data.window") && text.contains("blocks has 67108865"),
        "{text}"
    );
    BatchSampler::new(BatchPlan::new(1, 32).with_window(4096), examples).unwrap();
}

/// As one block it would be read in its order.
#[test]
fn a_mixture_divides_a_source_without_blocks_if_another_has_some() {
    let sources = [Blocks::new(30, vec![0, 10]), Blocks::new(2500, vec![])];
    let components = sources.map(|blocks| MixtureComponent::new(Arc::new(blocks)));
    let mixture = Mixture::new(components.into(), "mixture").unwrap();
    assert_eq!(mixture.block_starts(), [0, 10, 30, 1054, 2078]);
}
