//! The order over shards, and the loader's stream over them.

use std::{collections::HashSet, sync::Arc};

use rand::seq::SliceRandom;
use vlp_data::{
    Examples, LoadedBatch, Loader, LoaderConfig, Mix, Order, Part, Plan, ResizeRule, Scenes,
    ScenesConfig, Source, Subset, rng,
    shards::{Blobs as _, CacheSize, Cached, Folder, PackOptions, ShardOptions, open, pack},
};

use crate::Memory;

fn plan(batch_size: usize, window: usize, bucket_by_shape: bool) -> Plan {
    Plan {
        seed: 3,
        batch_size,
        bucket_by_shape,
        window,
    }
}

/// Scenes in shards of ten, in memory.
fn packed(count: usize) -> Arc<Memory> {
    let dir = tempfile::tempdir().unwrap();
    let scenes = Scenes::new(ScenesConfig {
        count,
        ..ScenesConfig::default()
    });
    let options = PackOptions {
        shard_samples: 10,
        ..PackOptions::default()
    };
    let set = dir.path().join("set");
    pack(&scenes.unwrap(), &set, &options).unwrap();
    let mut memory = Memory::default();
    for entry in std::fs::read_dir(&set).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        memory.files.insert(name, std::fs::read(path).unwrap());
    }
    Arc::new(memory)
}

/// The cache of blocks that they are read through, and the source.
fn opened(memory: Arc<Memory>) -> (Arc<Cached>, Arc<dyn Source>) {
    let size = CacheSize {
        block: 32 << 10,
        blocks: 8,
    };
    let cached = Arc::new(Cached::new(memory, size).unwrap());
    let source = open(cached.clone(), ShardOptions::default())
        .unwrap()
        .source;
    (cached, Arc::new(source))
}

fn shards(count: usize) -> (Arc<Cached>, Arc<dyn Source>) {
    opened(packed(count))
}

fn order(source: &Arc<dyn Source>, plan: Plan) -> Order {
    let rule = ResizeRule::Square { side: 16 };
    Order::new(plan, Examples::new(source.clone(), rule)).unwrap()
}

fn epoch(order: &Order, epoch: u64) -> Vec<usize> {
    let per = order.batches_per_epoch();
    (epoch * per..(epoch + 1) * per)
        .flat_map(|step| order.batch(step).1)
        .collect()
}

#[test]
fn without_a_window_an_epoch_is_one_permutation() {
    let (_, source) = shards(45);
    let order = order(&source, plan(4, 0, false));
    for number in 0..3 {
        let mut all: Vec<usize> = (0..45).collect();
        all.shuffle(&mut rng(3, number, 0, "order"));
        assert_eq!(epoch(&order, number), all[..44]);
    }
}

#[test]
fn a_window_holds_few_shards_and_an_epoch_each_sample_once() {
    let (_, source) = shards(95);
    assert_eq!(source.blocks(), (0..95).step_by(10).collect::<Vec<_>>());
    for bucket in [false, true] {
        for window in [1, 8, 11, 40, 1000, usize::MAX] {
            let order = order(&source, plan(4, window, bucket));
            let mut left_out = HashSet::new();
            let mut epochs = HashSet::new();
            for number in 0..30 {
                let all = epoch(&order, number);
                let distinct: HashSet<usize> = all.iter().copied().collect();
                assert_eq!((all.len(), distinct.len()), (92, 92));
                left_out.extend((0..95).filter(|sample| !distinct.contains(sample)));
                // Samples of one window come from as many shards as it can touch, and one batch lies in one window.
                if window < 95 {
                    let touched = |part: &[usize]| {
                        let shards: HashSet<usize> =
                            part.iter().map(|sample| sample / 10).collect();
                        shards.len()
                    };
                    let most = window.div_ceil(4) * 4 / 10 + 3;
                    assert!(all.chunks(4).all(|batch| touched(batch) <= most));
                }
                epochs.insert(all);
            }
            assert_eq!(epochs.len(), 30, "another order in every epoch");
            assert!(
                left_out.len() > 30,
                "samples sit out by chance: {}",
                left_out.len()
            );
        }
    }
}

#[test]
fn blocks_are_known_through_subsets_and_mixtures() {
    let (_, source) = shards(30);
    let odd: Vec<usize> = (0..30).filter(|n| n % 2 == 1 && *n != 11).collect();
    let subset: Arc<dyn Source> = Arc::new(Subset::new(source.clone(), odd, "odd").unwrap());
    assert_eq!(subset.blocks(), [0, 5, 9]);
    let scenes = Scenes::new(ScenesConfig {
        count: 4,
        ..ScenesConfig::default()
    });
    let scenes: Arc<dyn Source> = Arc::new(scenes.unwrap());
    assert_eq!(scenes.blocks(), Vec::<usize>::new());
    let twice = Part {
        weight: 2.0,
        ..Part::new(subset)
    };
    let mix = Mix::new(
        vec![
            Part {
                boxes: false,
                ..Part::new(scenes.clone())
            },
            twice,
        ],
        "mix",
    )
    .unwrap();
    assert_eq!(mix.blocks(), [0, 4, 9, 13, 18, 23, 27]);
    let alone = Mix::new(vec![Part::new(scenes.clone())], "alone").unwrap();
    assert_eq!(alone.blocks(), Vec::<usize>::new());
    // Without blocks a window's length stands for them.
    let order = order(&scenes, plan(2, 2, false));
    let pairs: HashSet<usize> = epoch(&order, 0).chunks(2).map(|pair| pair[0] / 2).collect();
    assert_eq!(pairs.len(), 2);
}

#[test]
fn a_window_makes_reads_sequential() {
    let blocks = |window| {
        let (cached, source) = shards(400);
        let before = cached.fetched();
        for index in epoch(&order(&source, plan(4, window, false)), 0) {
            source.load(index).unwrap();
        }
        cached.fetched() - before
    };
    let (near, far) = (blocks(20), blocks(0));
    let (cached, _) = shards(400);
    let shards = cached.list().unwrap().unwrap();
    let once: u64 = shards
        .iter()
        .map(|shard| shard.bytes.div_ceil(32 << 10))
        .sum();
    // With a window a block is read about once, and the two windows that it may lie in; without, again and again.
    assert!(
        near < once * 3 / 2 && far > near * 2,
        "{near} with, {far} without, {once} at least"
    );
}

fn stream(source: &Arc<dyn Source>, window: usize, workers: usize, start: u64) -> Vec<LoadedBatch> {
    let rule = ResizeRule::Detr {
        short: vec![16, 24],
        max: 40,
    };
    let config = LoaderConfig {
        workers,
        start_step: start,
        ..LoaderConfig::new(plan(4, window, true), rule)
    };
    let mut loader = Loader::start(source.clone(), config).unwrap();
    (start..27).map(|_| loader.next().unwrap()).collect()
}

#[test]
fn a_run_goes_on_in_the_middle_of_a_shard() {
    // Three epochs of nine steps, over shards of ten.
    let memory = packed(37);
    let (_, source) = opened(memory.clone());
    for window in [0, 12] {
        let whole = stream(&source, window, 0, 0);
        assert_eq!(whole.len(), 27);
        assert!(whole.iter().all(|batch| batch.skipped.is_empty()));
        for workers in [0, 1, 3] {
            for start in [0, 1, 5, 9, 14] {
                // Read anew: nothing of the first run is left.
                let (_, source) = opened(memory.clone());
                let rest = stream(&source, window, workers, start);
                assert_eq!(
                    rest,
                    whole[start as usize..],
                    "{workers} workers, window {window}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let scenes = Scenes::new(ScenesConfig {
        count: 20,
        ..ScenesConfig::default()
    });
    let set = dir.path().join("set");
    let options = PackOptions {
        shard_samples: 10,
        ..PackOptions::default()
    };
    pack(&scenes.unwrap(), &set, &options).unwrap();
    let place = Arc::new(Folder::open(&set).unwrap());
    let source: Arc<dyn Source> = Arc::new(open(place, ShardOptions::default()).unwrap().source);
    std::fs::remove_file(set.join("000001.tar")).unwrap();
    let config = LoaderConfig {
        workers: 2,
        max_bad_share: 0.6,
        ..LoaderConfig::new(plan(20, 10, false), ResizeRule::Square { side: 16 })
    };
    let batch = Loader::start(source, config).unwrap().next().unwrap();
    assert_eq!((batch.examples.len(), batch.skipped.len()), (10, 10));
    assert!(
        batch.skipped[0].file.ends_with("000001.tar"),
        "{}",
        batch.skipped[0]
    );
}
