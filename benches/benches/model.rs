//! Models: trunk and encoder forward, the dictionary's look-up, and of the tiny presets a training step, matching and
//! captions.

#[path = "../../crates/vlp/examples/preset/mod.rs"]
mod preset;

use std::time::Duration;

use burn::prelude::*;
use burn::tensor::Distribution;
use criterion::{Criterion, criterion_group, criterion_main};
use vlp_objectives::{Needs, VisionLanguage};
use vlp_train::Trainer;
use vlp_transformer::{EncoderConfig, LayerConfig};
use vlp_vision::{Depth, DictionaryConfig, ResNet, ResNetConfig};

use preset::{Done, Learner, Preset, Visit};

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn parts(c: &mut Criterion) {
    let device = Device::flex();
    let net = ResNetConfig::new(Depth::R50)
        .init(&device)
        .expect("a valid trunk");
    let pixels = random([1, 3, 384, 384]);
    c.bench_function("trunk/resnet-50 at 384 forward", |b| {
        b.iter(|| net.forward(pixels.clone()))
    });
    for (name, layers, layer, tokens) in [
        ("e2e-vlp", 6, LayerConfig::detr(256, 8, 1024, 0.0), 576 + 40),
        ("soho", 3, LayerConfig::bert(768, 12, 3072, 0.0), 144 + 16),
    ] {
        let width = layer.d_model;
        let config = EncoderConfig { layers, layer };
        let encoder = config.init(&device).expect("a valid encoder");
        let states = random([1, tokens, width]);
        let name = format!("encoder/{name}, {layers} layers over {tokens} tokens forward");
        c.bench_function(&name, |b| {
            b.iter(|| encoder.forward(states.clone(), None, None))
        });
    }
    let config = DictionaryConfig::new(2048);
    let dictionary = config.init(768, &device).expect("a valid dictionary");
    let features = random([2400, 768]);
    c.bench_function("dictionary/2400 features among 2048 codes", |b| {
        b.iter(|| dictionary.nearest(features.clone()))
    });
}

/// The paths of a preset that users wait for.
struct Paths<'a>(&'a mut Criterion, &'a str);

impl Visit for Paths<'_> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        trunk: fn(&M) -> &ResNet,
    ) -> Done {
        let Self(c, name) = self;
        let mut group = c.benchmark_group(name);
        let examples = preset.examples()?;
        let pictures = examples.len();
        let still = learner.valid();
        let device = Device::flex();
        let batcher = preset.data.batcher(&preset.config);
        let batch = batcher.batch(&still.objectives, &examples, &device)?;
        group.bench_function(format!("trunk forward, {pictures} pictures"), |b| {
            b.iter(|| trunk(&still.model).forward(batch.images.pixels.clone()))
        });
        if let Some(itm) = &still.objectives.itm {
            let texts = batch.ids.len();
            let match_all = || itm.logits(&still.model.encode(&batch.inputs(), Needs::JOINT)?);
            match_all()?;
            group.bench_function(
                format!("matching of {pictures} pictures, {texts} texts"),
                |b| b.iter(match_all),
            );
        }
        let objectives = &preset.config.objectives;
        if let (Some(caption), Some(config)) = (&still.objectives.caption, &objectives.caption) {
            let special = preset.data.pieces.special();
            let encoded = still.model.encode(&batch.inputs(), Needs::IMAGE)?;
            for beams in [1, 3] {
                // Untrained weights: every caption is to have its full length.
                let mut search = config.generation(special.cls, special.sep);
                (search.beams, search.min_len) = (beams, search.max_len - 1);
                caption.generate(&encoded, &search)?;
                let name = format!("captions of {pictures} pictures, {beams} beams");
                group.bench_function(name, |b| b.iter(|| caption.generate(&encoded, &search)));
            }
        }
        let mut trainer = Trainer::new(learner, preset.config.train.clone())?;
        preset.step(&mut trainer, &examples)?;
        let pictures = pictures * preset.config.train.accumulate;
        group.bench_function(format!("training step of {pictures} pictures"), |b| {
            b.iter(|| preset.step(&mut trainer, &examples))
        });
        Ok(())
    }
}

fn presets(c: &mut Criterion) {
    for name in ["e2e-vlp-tiny", "soho-tiny"] {
        Preset::open(&[name], Device::flex().autodiff())
            .and_then(|preset| preset.visit(Paths(c, name)))
            .expect("the preset runs");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = parts, presets
}
criterion_main!(benches);
