//! Batch sampler, examples and loader: the stream is the same for any number of threads and any start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/blocks.rs"]
mod blocks;
#[path = "../common/mod.rs"]
mod common;
mod examples;
mod lanes;
mod loader;
mod micro_batches;
mod sampler;
mod windows;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
};

use vlp_data::{
    BatchPlan, DataError, Image, LabelSpace, LoadedBatch, Loader, LoaderConfig, ResizeRule, Sample,
    Source,
};

/// Images of different sizes and colors, of which some fail to load; records where they are loaded.
pub(crate) struct TestSource {
    len: usize,
    /// Number of distinct images.
    images: usize,
    outcome: fn(usize) -> Outcome,
    labels: LabelSpace,
    /// Threads in which `load` has run.
    threads: Arc<Mutex<HashSet<ThreadId>>>,
    loads: Arc<AtomicUsize>,
}

pub(crate) enum Outcome {
    Loaded,
    Error,
    Panic,
}

impl TestSource {
    pub(crate) fn new(len: usize, outcome: fn(usize) -> Outcome) -> Self {
        Self {
            len,
            images: len,
            outcome,
            labels: LabelSpace::default(),
            threads: Arc::default(),
            loads: Arc::default(),
        }
    }
}

impl Source for TestSource {
    fn name(&self) -> &str {
        "test"
    }

    fn len(&self) -> usize {
        self.len
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        (index % self.images) as u64 + 100
    }

    fn size(&self, index: usize) -> (usize, usize) {
        let key = self.key(index) as usize;
        (20 + key * 37 % 90, 20 + key * 53 % 70)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok((0..4)
            .map(|number| format!("caption {number} of {}", self.key(index)))
            .collect())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.threads.lock().unwrap().insert(thread::current().id());
        self.loads.fetch_add(1, Ordering::SeqCst);
        match (self.outcome)(index) {
            Outcome::Loaded => {}
            Outcome::Error => {
                return Err(DataError::Decode {
                    name: format!("{index}.jpg"),
                    reason: "truncated".into(),
                });
            }
            Outcome::Panic => panic!("sample {index} panics"),
        }
        let (width, height) = self.size(index);
        Ok(Sample {
            key: self.key(index),
            name: format!("{index}.jpg"),
            image: Image::filled(width, height, [index as u8, 7, 200]),
            captions: self.captions(index)?,
            objects: None,
            second_image: None,
            label: None,
            record: None,
        })
    }
}

pub(crate) fn all_load(_: usize) -> Outcome {
    Outcome::Loaded
}

pub(crate) fn every_tenth_fails(index: usize) -> Outcome {
    if index % 10 == 3 {
        Outcome::Error
    } else {
        Outcome::Loaded
    }
}

pub(crate) fn plan(batch_size: usize) -> BatchPlan {
    BatchPlan::new(5, batch_size).with_bucket_by_shape(true)
}

pub(crate) fn config(workers: usize, start_step: u64) -> LoaderConfig {
    let resize = ResizeRule::Detr {
        short: vec![16, 24, 32],
        max: 64,
    };
    LoaderConfig::new(plan(4), resize)
        .with_workers(workers)
        .with_start_step(start_step)
}

pub(crate) fn load_batches(
    source: &Arc<dyn Source>,
    config: LoaderConfig,
    steps: usize,
) -> Vec<LoadedBatch> {
    let mut loader = Loader::start(source.clone(), config).unwrap();
    (0..steps).map(|_| loader.next().unwrap()).collect()
}
