//! Lanes: each micro-batch of a training step reads shards of its own.

use std::{collections::HashSet, sync::Arc};

use vlp_data::{
    BatchPlan, BatchSampler, DataError, Examples, Loader, NegativeFrom, ResizeRule, Source,
};

use crate::{TestSource, all_load, blocks::Blocks, config, load_batches};

fn sampler(blocks: &Blocks, plan: &BatchPlan) -> Result<BatchSampler, DataError> {
    let examples = Examples::new(Arc::new(blocks.clone()), ResizeRule::Square { side: 16 });
    BatchSampler::new(plan.clone(), examples)
}

fn plan(batch_size: usize, window: usize, lanes: usize) -> BatchPlan {
    BatchPlan::new(4, batch_size)
        .with_window(window)
        .with_lanes(lanes)
}

#[test]
fn an_epoch_has_all_samples_but_the_tail_once() {
    for (len, starts) in [
        (331, vec![0, 3, 4, 40, 41, 200, 317, 318]),
        (1000, (0..1000).step_by(10).collect()),
        (700, vec![]),
        (84, vec![0]),
        (90, vec![0, 0, 12, 12, 12, 89]),
    ] {
        let blocks = Blocks::new(len, starts);
        for (batch_size, window, lanes) in [
            (4, 16, 7),
            (4, 1, 2),
            (3, 10_000, 7),
            (12, 12, 7),
            (1, 64, 3),
        ] {
            for bucket in [false, true] {
                let plan = plan(batch_size, window, lanes).with_bucket_by_shape(bucket);
                let sampler = sampler(&blocks, &plan).unwrap();
                let per_epoch = sampler.batches_per_epoch();
                let used = len / (lanes * batch_size) * lanes * batch_size;
                assert_eq!(per_epoch as usize * batch_size, used);
                let mut dropped = HashSet::new();
                for epoch in 0..20 {
                    let mut samples = HashSet::new();
                    // Lane by lane, as processes do.
                    for lane in 0..lanes as u64 {
                        let first = epoch * per_epoch;
                        for step in (first + lane..first + per_epoch).step_by(lanes) {
                            let (batch_epoch, batch) = sampler.batch(step).unwrap();
                            assert_eq!(batch_epoch, epoch);
                            samples.extend(batch);
                        }
                    }
                    assert_eq!(samples.len(), used, "{len}, {plan:?}");
                    dropped.extend((0..len).filter(|sample| !samples.contains(sample)));
                }
                assert!(used == len || dropped.len() > len - used, "{plan:?}");
            }
        }
    }
}

/// Distinct pairs of a rank and a shard that it reads in an epoch.
fn object_reads(blocks: &Blocks, plan: &BatchPlan, ranks: usize, epoch: u64) -> usize {
    let (accumulate, mut pairs) = (7, HashSet::new());
    for rank in 0..ranks {
        let sampler = sampler(blocks, plan).unwrap();
        let per_epoch = sampler.batches_per_epoch();
        let micro_batches = rank * accumulate / ranks..(rank + 1) * accumulate / ranks;
        for step in epoch * per_epoch..(epoch + 1) * per_epoch {
            if micro_batches.contains(&(step as usize % accumulate)) {
                let (_, batch) = sampler.batch(step).unwrap();
                let shard = |&index: &usize| blocks.starts.partition_point(|&s| s <= index);
                pairs.extend(batch.iter().map(|index| (rank, shard(index))));
            }
        }
    }
    pairs.len()
}

#[test]
fn a_shard_is_read_by_one_rank_in_an_epoch() {
    let equal = Blocks::new(84 * 50, (0..84 * 50).step_by(50).collect());
    let uneven = (0..84)
        .map(|shard| shard * 50 + shard * shard % 41)
        .collect();
    let uneven = Blocks::new(84 * 50, uneven);
    for (epoch, ranks) in [(0, 1), (0, 2), (0, 7), (3, 2), (3, 7)] {
        let lanes = plan(5, 60, 7);
        assert_eq!(
            object_reads(&equal, &lanes, ranks, epoch),
            84,
            "{ranks} ranks"
        );
        // A shard at the boundary of the lanes of two ranks is read by both.
        let reads = object_reads(&uneven, &lanes, ranks, epoch);
        assert!((84..84 + ranks).contains(&reads), "{reads}, {ranks} ranks");
        // Without lanes, every rank reads nearly every shard.
        let one_lane = object_reads(&equal, &plan(5, 60, 1), ranks, epoch);
        assert!(one_lane >= 84 * ranks * 9 / 10, "{one_lane}, {ranks} ranks");
    }
}

#[test]
fn invalid_lanes_are_errors() {
    let blocks = Blocks::new(40, vec![]);
    for (batch_size, window, lanes, part) in [
        (4, 16, 0, "at least 1"),
        (4, 0, 2, "data.window is 0"),
        (4, 16, 11, "11 batches of 4; blocks has 40 samples"),
    ] {
        let error = sampler(&blocks, &plan(batch_size, window, lanes)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("data.lanes") && text.contains(part), "{text}");
    }
    sampler(&blocks, &plan(4, 16, 10)).unwrap();
    let source: Arc<dyn Source> = Arc::new(TestSource::new(60, all_load));
    let config = config(0, 0).with_plan(plan(4, 16, 3)).with_accumulate(2);
    let error = Loader::start(source, config).unwrap_err().to_string();
    assert!(
        error.contains("data.lanes") && error.contains("train.accumulate"),
        "{error}"
    );
}

#[test]
fn ranks_load_their_lanes() {
    let source: Arc<dyn Source> = Arc::new(TestSource::new(90, all_load));
    let all = config(0, 0)
        .with_plan(plan(4, 12, 3).with_bucket_by_shape(true))
        .with_negative_from(NegativeFrom::Window)
        .with_accumulate(3);
    let expected = load_batches(&source, all.clone(), 30);
    let mut batches = vec![];
    for (range, workers) in [(0..2, 3), (2..3, 2)] {
        let steps = 10 * range.len();
        let config = all.clone().with_workers(workers);
        batches.extend(load_batches(
            &source,
            config.with_micro_batches(Some(range)),
            steps,
        ));
    }
    batches.sort_by_key(|batch| batch.step);
    assert_eq!(batches, expected);
}

#[test]
fn negative_captions_are_of_the_window() {
    let source: Arc<dyn Source> = Arc::new(TestSource {
        images: 45,
        ..TestSource::new(90, all_load)
    });
    let config = config(2, 0)
        .with_plan(plan(4, 12, 3))
        .with_accumulate(3)
        .with_texts_per_image(3)
        .with_negative_from(NegativeFrom::Window);
    let mut distinct = HashSet::new();
    let batches = load_batches(&source, config.clone(), 42);
    for lane in 0..3 {
        let lane: Vec<_> = batches.iter().skip(lane).step_by(3).collect();
        // An epoch of seven batches, three in a window.
        for window in lane.chunks(7).flat_map(|epoch| epoch.chunks(3)) {
            let examples = || window.iter().flat_map(|batch| &batch.examples);
            let keys: HashSet<u64> = examples().map(|example| example.key).collect();
            for example in examples() {
                for negative in &example.negative_captions {
                    let (_, key) = negative.rsplit_once(' ').unwrap();
                    let key = key.parse().unwrap();
                    assert!(key != example.key && keys.contains(&key), "{negative}");
                    distinct.insert((example.key, key));
                }
            }
        }
    }
    assert!(distinct.len() > 200, "{}", distinct.len());
    // A window of one image: negative captions are of the whole source.
    let one_image = config.clone().with_plan(plan(1, 1, 3));
    for batch in load_batches(&source, one_image, 9) {
        for example in &batch.examples {
            for negative in &example.negative_captions {
                assert!(!negative.is_empty() && !negative.ends_with(&example.key.to_string()));
            }
        }
    }
    let no_window = config.with_plan(BatchPlan::new(1, 4));
    let error = Loader::start(source, no_window).unwrap_err().to_string();
    assert!(
        error.contains("data.negative_from") && error.contains("data.window"),
        "{error}"
    );
}
