//! A whole training step of the tiny preset: forward, losses, backward, clip, AdamW.

use std::sync::Arc;

use burn::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};
use vlp::config::{Sources, resolve};
use vlp::{Datasets, VlpError, build};
use vlp_data::Examples;
use vlp_models::initialise;
use vlp_objectives::{Batcher, Pretrain, total};
use vlp_train::Trainer;

fn step(c: &mut Criterion) {
    let config = resolve(&Sources::default()).expect("the preset is valid");
    let data = Datasets::open(&config).expect("scenes need no files");
    let device = Device::flex().autodiff();
    let model = build::model(&config, &data, &device).expect("the preset is valid");
    let objectives = build::objectives(&config, &data, &device).expect("the preset is valid");
    let mut trainer =
        Trainer::new(initialise(Pretrain { model, objectives }, 1), config.train.clone()).expect("the preset is valid");
    let source = Examples::new(Arc::clone(&data.train), config.data.resize.clone());
    let examples: Vec<_> = (0..config.data.batch_size).filter_map(|i| source.load(i, 0).ok()).collect();
    let batcher = Batcher {
        pieces: &data.pieces,
        labels: &data.labels,
        max_len: config.data.max_text,
        seed: 1,
        size_multiple: 1,
    };
    let mut group = c.benchmark_group("e2e-vlp-tiny");
    group.sample_size(20);
    group.bench_function("training step of 32 scenes", |b| {
        b.iter(|| {
            trainer.step(1, |model, _| -> Result<_, VlpError> {
                let batch = batcher.batch(&model.objectives, &examples, &device)?;
                Ok(total(&model.losses(&batch)?).ok_or_else(|| "no loss".into()))
            })
        })
    });
}

criterion_group!(benches, step);
criterion_main!(benches);
