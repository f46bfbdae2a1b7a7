//! Models: backbone and encoder forward, the dictionary's look-up, and of the tiny presets a training step, matching and
//! captions.

#[path = "../../crates/vlp/examples/measure/preset.rs"]
mod preset;

use std::time::Duration;

use burn::prelude::*;
use burn::tensor::Distribution;
use criterion::{Criterion, criterion_group, criterion_main};
use vlp_objectives::{EncoderPasses, ObjectiveError, VisionLanguage};
use vlp_train::Trainer;
use vlp_transformer::{EncoderConfig, LayerConfig};
use vlp_vision::{Depth, DictionaryConfig, ResNet, ResNetConfig};

use preset::{BoxResult, Learner, Preset, Visit};

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn parts(c: &mut Criterion) {
    let device = Device::flex();
    let net = ResNetConfig::new(Depth::R50)
        .init(&device)
        .expect("a valid backbone");
    let pixels = random([1, 3, 384, 384]);
    c.bench_function("backbone/resnet-50 at 384 forward", |b| {
        b.iter(|| net.forward(pixels.clone()))
    });
    for (name, layers, layer, tokens) in [
        ("e2e-vlp", 6, LayerConfig::detr(256, 8, 1024, 0.0), 576 + 40),
        ("soho", 3, LayerConfig::bert(768, 12, 3072, 0.0), 144 + 16),
    ] {
        let width = layer.d_model;
        let config = EncoderConfig::new(layers, layer);
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
        b.iter(|| dictionary.nearest_codes(features.clone()))
    });
}

/// The paths of a preset that users wait for.
struct Paths<'a>(&'a mut Criterion, &'a str);

impl Visit for Paths<'_> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        backbone: fn(&M) -> &ResNet,
    ) -> BoxResult {
        let Self(c, name) = self;
        let mut group = c.benchmark_group(name);
        let examples = preset.examples()?;
        let images = examples.len();
        let still = learner.valid();
        let device = Device::flex();
        let collator = preset.data.collator(&preset.config);
        let batch = collator.collate(&still.objectives, &examples, &device)?;
        group.bench_function(format!("backbone forward, {images} images"), |b| {
            b.iter(|| backbone(&still.model).forward(batch.images.pixels.clone()))
        });
        if let Some(itm) = &still.objectives.itm {
            let texts = batch.ids.len();
            let match_all = || {
                let output = still.model.encode(&batch.inputs(), EncoderPasses::JOINT)?;
                Ok::<_, ObjectiveError>(itm.logits(output.joint().text.cls()))
            };
            match_all()?;
            group.bench_function(format!("matching of {images} images, {texts} texts"), |b| {
                b.iter(match_all)
            });
        }
        let objectives = &preset.config.objectives;
        if let (Some(caption), Some(config)) = (&still.objectives.caption, &objectives.caption) {
            let special = preset.data.tokenizer.special_tokens();
            let output = still.model.encode(&batch.inputs(), EncoderPasses::IMAGE)?;
            for beams in [1, 3] {
                // Untrained weights: every caption is to have its full length.
                let mut search = config.generation(special.cls, special.sep);
                (search.num_beams, search.min_new_tokens) = (beams, search.max_new_tokens - 1);
                let generator = caption.generator(&output)?;
                let name = format!("captions of {images} images, {beams} beams");
                group.bench_function(name, |b| b.iter(|| generator.beam_search(&search)));
            }
        }
        let mut trainer = Trainer::new(learner, preset.config.train.clone())?;
        preset.step(&mut trainer, &examples)?;
        let images = images * preset.config.train.accumulate;
        group.bench_function(format!("training step of {images} images"), |b| {
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

fn criterion() -> Criterion {
    vlp_ops::tune_allocator();
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = parts, presets
}
criterion_main!(benches);
