//! Sample order over shards, and the loader's stream.

use std::{collections::HashSet, sync::Arc};

use rand::seq::SliceRandom;
use vlp_data::{
    BatchPlan, BatchSampler, Examples, InMemorySource, LoadedBatch, Loader, LoaderConfig, Mixture,
    MixtureComponent, ResizeRule, Source, Subset, rng,
    shards::{
        BlobStore as _, BlockCacheSize, CachedBlobStore, Folder, PackOptions, ShardOptions, open,
        pack,
    },
};

use crate::{MemoryStore, common};

fn plan(batch_size: usize, window: usize, bucket_by_shape: bool) -> BatchPlan {
    BatchPlan::new(3, batch_size)
        .with_bucket_by_shape(bucket_by_shape)
        .with_window(window)
}

fn noise(count: usize) -> InMemorySource {
    common::source(common::samples(count, 32))
}

/// Shards of ten samples, in memory.
fn packed(count: usize) -> Arc<MemoryStore> {
    let dir = tempfile::tempdir().unwrap();
    let options = PackOptions::default().with_shard_samples(10);
    let set = dir.path().join("set");
    pack(&noise(count), &set, &options).unwrap();
    let mut store = MemoryStore::default();
    for entry in std::fs::read_dir(&set).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        store.files.insert(name, std::fs::read(path).unwrap());
    }
    Arc::new(store)
}

/// The shards of a store read through a block cache, and the cache.
fn open_cached(store: Arc<MemoryStore>) -> (Arc<CachedBlobStore>, Arc<dyn Source>) {
    let size = BlockCacheSize {
        block_bytes: 32 << 10,
        max_blocks: 8,
    };
    let cached = Arc::new(CachedBlobStore::new(store, size).unwrap());
    let source = open(cached.clone(), ShardOptions::default())
        .unwrap()
        .source;
    (cached, Arc::new(source))
}

fn shards(count: usize) -> (Arc<CachedBlobStore>, Arc<dyn Source>) {
    open_cached(packed(count))
}

fn order(source: &Arc<dyn Source>, plan: BatchPlan) -> BatchSampler {
    let rule = ResizeRule::Square { side: 16 };
    BatchSampler::new(plan, Examples::new(source.clone(), rule)).unwrap()
}

fn epoch_indices(order: &BatchSampler, epoch: u64) -> Vec<usize> {
    let batches = order.batches_per_epoch();
    (epoch * batches..(epoch + 1) * batches)
        .flat_map(|step| order.batch(step).unwrap().1)
        .collect()
}

#[test]
fn without_a_window_an_epoch_is_one_permutation() {
    let (_, source) = shards(45);
    let order = order(&source, plan(4, 0, false));
    for number in 0..3 {
        let mut permutation: Vec<usize> = (0..45).collect();
        permutation.shuffle(&mut rng(3, number, 0, "order"));
        assert_eq!(epoch_indices(&order, number), permutation[..44]);
    }
}

#[test]
fn windows_touch_few_shards_and_epochs_have_each_sample_once() {
    let (_, source) = shards(95);
    assert_eq!(
        source.block_starts(),
        (0..95).step_by(10).collect::<Vec<_>>()
    );
    for bucket in [false, true] {
        for window in [1, 8, 11, 40, 1000, usize::MAX] {
            let order = order(&source, plan(4, window, bucket));
            let mut omitted = HashSet::new();
            let mut epochs = HashSet::new();
            for number in 0..30 {
                let indices = epoch_indices(&order, number);
                let distinct: HashSet<usize> = indices.iter().copied().collect();
                assert_eq!((indices.len(), distinct.len()), (92, 92));
                omitted.extend((0..95).filter(|sample| !distinct.contains(sample)));
                // A batch is part of one window, which touches a bounded number of shards.
                if window < 95 {
                    let touched_shards = |batch: &[usize]| {
                        let shards: HashSet<usize> =
                            batch.iter().map(|sample| sample / 10).collect();
                        shards.len()
                    };
                    let max_shards = window.div_ceil(4) * 4 / 10 + 3;
                    assert!(
                        indices
                            .chunks(4)
                            .all(|batch| touched_shards(batch) <= max_shards)
                    );
                }
                epochs.insert(indices);
            }
            assert_eq!(epochs.len(), 30, "two epochs have the same order");
            assert!(
                omitted.len() > 30,
                "the omitted samples do not vary: {}",
                omitted.len()
            );
        }
    }
}

#[test]
fn subsets_and_mixtures_have_block_starts() {
    let (_, source) = shards(30);
    let odd: Vec<usize> = (0..30).filter(|n| n % 2 == 1 && *n != 11).collect();
    let subset: Arc<dyn Source> = Arc::new(Subset::new(source.clone(), odd, "odd").unwrap());
    assert_eq!(subset.block_starts(), [0, 5, 9]);
    let without_blocks: Arc<dyn Source> = Arc::new(noise(4));
    assert_eq!(without_blocks.block_starts(), Vec::<usize>::new());
    let doubled = MixtureComponent {
        weight: 2.0,
        ..MixtureComponent::new(subset)
    };
    let mix = Mixture::new(
        vec![
            MixtureComponent {
                keep_boxes: false,
                ..MixtureComponent::new(without_blocks.clone())
            },
            doubled,
        ],
        "mix",
    )
    .unwrap();
    assert_eq!(mix.block_starts(), [0, 4, 9, 13, 18, 23, 27]);
    let single = Mixture::new(
        vec![MixtureComponent::new(without_blocks.clone())],
        "single",
    )
    .unwrap();
    assert_eq!(single.block_starts(), Vec::<usize>::new());
    // Without blocks, those of the length of a window are used.
    let order = order(&without_blocks, plan(2, 2, false));
    let pairs: HashSet<usize> = epoch_indices(&order, 0)
        .chunks(2)
        .map(|pair| pair[0] / 2)
        .collect();
    assert_eq!(pairs.len(), 2);
}

#[test]
fn windows_make_reads_sequential() {
    let fetched_blocks = |window| {
        let (cached, source) = shards(400);
        let before = cached.fetched();
        for index in epoch_indices(&order(&source, plan(4, window, false)), 0) {
            source.load(index).unwrap();
        }
        cached.fetched() - before
    };
    let (windowed, unwindowed) = (fetched_blocks(20), fetched_blocks(0));
    let (cached, _) = shards(400);
    let shards = cached.list().unwrap().unwrap();
    let total_blocks: u64 = shards
        .iter()
        .map(|shard| shard.bytes.div_ceil(32 << 10))
        .sum();
    // With a window most blocks are read once; those that two windows share may be read twice.
    assert!(
        windowed < total_blocks * 3 / 2 && unwindowed > windowed * 2,
        "{windowed} with a window, {unwindowed} without, {total_blocks} blocks"
    );
}

fn stream(source: &Arc<dyn Source>, window: usize, workers: usize, start: u64) -> Vec<LoadedBatch> {
    let rule = ResizeRule::Detr {
        short: vec![16, 24],
        max: 40,
    };
    let config = LoaderConfig::new(plan(4, window, true), rule)
        .with_workers(workers)
        .with_start_step(start);
    let mut loader = Loader::start(source.clone(), config).unwrap();
    (start..27).map(|_| loader.next().unwrap()).collect()
}

#[test]
fn streams_resume_in_the_middle_of_a_shard() {
    // Three epochs of nine steps, over shards of ten.
    let store = packed(37);
    let (_, source) = open_cached(store.clone());
    for window in [0, 12] {
        let batches = stream(&source, window, 0, 0);
        assert_eq!(batches.len(), 27);
        assert!(batches.iter().all(|batch| batch.skipped.is_empty()));
        for workers in [0, 1, 3] {
            for start in [0, 1, 5, 9, 14] {
                // Opened again, so that nothing is cached.
                let (_, source) = open_cached(store.clone());
                let resumed = stream(&source, window, workers, start);
                assert_eq!(
                    resumed,
                    batches[start as usize..],
                    "{workers} workers, window {window}"
                );
            }
        }
    }
}

#[test]
fn a_shard_that_is_removed_during_a_run_ends_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    let options = PackOptions::default().with_shard_samples(10);
    pack(&noise(20), &set, &options).unwrap();
    let folder = Arc::new(Folder::open(&set).unwrap());
    let source: Arc<dyn Source> = Arc::new(open(folder, ShardOptions::default()).unwrap().source);
    std::fs::remove_file(set.join("000001.tar")).unwrap();
    let config =
        LoaderConfig::new(plan(20, 10, false), ResizeRule::Square { side: 16 }).with_workers(2);
    let error = Loader::start(source, config).unwrap().next().unwrap_err();
    assert!(
        error.is_of_store() && error.to_string().contains("000001.tar"),
        "{error}"
    );
}
