//! Parts that run outside the model: assignment, scenes, word pieces, the trunk alone.

use std::hint::black_box;

use burn::prelude::*;
use burn::tensor::Distribution;
use criterion::{Criterion, criterion_group, criterion_main};
use vlp_assign::Hungarian;
use vlp_data::{Examples, ResizeRule, Scenes, ScenesConfig};
use vlp_text::WordPieces;
use vlp_vision::{Depth, DictionaryConfig, ResNetConfig};

fn assignment(c: &mut Criterion) {
    let cost: Vec<f64> = (0..100 * 20).map(|i| ((i * 7919) % 1009) as f64 / 1009.0).collect();
    let mut solver = Hungarian::default();
    c.bench_function("assignment 100 x 20", |b| b.iter(|| solver.assign(black_box(&cost), 100, 20)));
}

fn data(c: &mut Criterion) {
    let scenes = Scenes::new(ScenesConfig::default()).expect("the default is valid");
    let examples = Examples::new(std::sync::Arc::new(scenes), ResizeRule::Keep);
    let mut index = 0;
    c.bench_function("scene of 64 pixels", |b| {
        b.iter(|| {
            index = (index + 1) % 10_000;
            examples.load(index, 0)
        })
    });
    let pieces = WordPieces::bert_uncased();
    let text = "A man riding a wave on top of a surfboard.";
    c.bench_function("word pieces of a caption", |b| b.iter(|| pieces.encode(black_box(text), 40)));
}

fn trunk(c: &mut Criterion) {
    let device = Device::flex();
    let config = ResNetConfig::new(Depth::R50);
    let image = |device: &Device| Tensor::<4>::random([1, 3, 384, 384], Distribution::Normal(0.0, 1.0), device);
    let net = config.init(&device).expect("the configuration is valid");
    let mut group = c.benchmark_group("resnet-50 384");
    group.sample_size(10);
    group.bench_function("forward", |b| b.iter(|| net.forward(image(&device)).pop().map(|t| t.into_data())));
    let device = device.autodiff();
    let net = config.init(&device).expect("the configuration is valid");
    group.bench_function("forward and backward", |b| {
        b.iter(|| net.forward(image(&device)).pop().map(|t| t.sum().backward()))
    });
}

fn dictionary(c: &mut Criterion) {
    let device = Device::flex();
    let dictionary = DictionaryConfig::new(2048).init(768, &device).expect("the configuration is valid");
    let features = Tensor::<2>::random([2400, 768], Distribution::Normal(0.0, 1.0), &device);
    let mut group = c.benchmark_group("dictionary of 2048 x 768");
    group.sample_size(10);
    group.bench_function("look-up of 2400 features", |b| {
        b.iter(|| dictionary.nearest(features.clone()).into_data())
    });
}

criterion_group!(benches, assignment, data, trunk, dictionary);
criterion_main!(benches);
