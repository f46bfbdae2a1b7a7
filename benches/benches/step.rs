//! Whole training steps of the tiny presets: forward, losses, backward, clip, AdamW.

use std::sync::Arc;

use burn::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};
use vlp::config::{RunConfig, Sources, resolve};
use vlp::{Datasets, VlpError, build};
use vlp_data::Examples;
use vlp_models::initialise;
use vlp_objectives::{Pretrain, VisionLanguage, total};
use vlp_train::Trainer;

fn step(c: &mut Criterion) {
    for name in ["e2e-vlp-tiny", "soho-tiny"] {
        let sources = Sources {
            preset: Some(name.into()),
            ..Sources::default()
        };
        let config = resolve(&sources).expect("the preset is valid");
        let data = Datasets::open(&config).expect("scenes need no files");
        let device = Device::flex().autodiff();
        match build::model(&config, &data.pieces, &device).expect("the preset is valid") {
            build::Model::E2eVlp(model) => run(c, name, model, &config, &data, &device),
            build::Model::Soho(model) => run(c, name, model, &config, &data, &device),
        }
    }
}

fn run<M: VisionLanguage>(
    c: &mut Criterion,
    name: &str,
    model: M,
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) {
    let objectives = build::objectives(config, data, device).expect("the preset is valid");
    let model = initialise(Pretrain { model, objectives }, 1);
    let mut trainer = Trainer::new(model, config.train.clone()).expect("the preset is valid");
    let source = Examples {
        texts: config.data.texts,
        ..Examples::new(Arc::clone(&data.train), config.data.resize.clone())
    };
    let examples: Vec<_> = (0..config.data.batch_size).filter_map(|i| source.load(i, 0).ok()).collect();
    let batcher = data.batcher(config);
    let mut group = c.benchmark_group(name);
    group.sample_size(20);
    let pictures = config.data.batch_size * config.train.accumulate;
    group.bench_function(format!("training step of {pictures} scenes"), |b| {
        b.iter(|| {
            trainer.step_side_by_side(1, |model, _| -> Result<_, VlpError> {
                let batch = batcher.batch(&model.objectives, &examples, device)?;
                let sum = total(&model.losses(&batch)?).ok_or_else(|| "no loss".to_string());
                Ok((sum, ()))
            })
        })
    });
}

criterion_group!(benches, step);
criterion_main!(benches);
