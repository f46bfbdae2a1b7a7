//! Initial weights: determinism and distributions.

use crate::common::{objectives, small, small_soho, vocabulary, weights};
use burn::module::{Module, Param};
use burn::prelude::*;
use vlp_models::initialize;
use vlp_objectives::{InitWeights, ItcConfig, Pretrain};
use vlp_ops::params::{ParamVisitor, visit_params};
use vlp_vision::{Fusion, VectorQuantizerConfig};

/// FNV-1a over paths and bits of all initial values.
fn hash<M: Module + InitWeights>(module: M) -> u64 {
    let weights = weights(&initialize(module, 3));
    let bytes = weights.iter().flat_map(|(path, values)| {
        let values = values.iter().flat_map(|value| value.to_le_bytes());
        path.bytes().chain(values)
    });
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn initial_weights_are_the_recorded_ones() {
    // Others would silently change every training run.
    let device = Device::flex();
    let quantizer = Some(
        VectorQuantizerConfig::new(6)
            .with_fusion(Fusion::Gate)
            .with_linear(true),
    );
    let e2e_vlp = small()
        .with_caption_layers(1)
        .with_modality_embedding(true)
        .with_quantizer(quantizer.clone());
    let soho = small_soho()
        .with_decoder_layers(1)
        .with_quantizer(quantizer);
    let pretrain = Pretrain {
        model: e2e_vlp.init(40, &device).unwrap(),
        objectives: objectives(16, 40, vocabulary(5, 3), &device),
    };
    let soho = soho.init(40, &device).unwrap();
    let hashes = [hash(pretrain), hash(soho)];
    assert_eq!(hashes, [0x4b47_0c23_2e0a_d7ac, 0x2ea3_f8c3_7052_7b1e]);
}

#[test]
fn itc_temperature_keeps_its_configured_value() {
    let itc = ItcConfig::default().init(16, &Device::flex());
    assert_eq!(weights(&initialize(itc, 3))["temperature"], [0.07]);
}

#[test]
fn initial_weights_are_a_function_of_seed_and_path() {
    let device = Device::flex();
    let first = {
        let model = small().init(40, &device).unwrap();
        let objectives = objectives(16, 40, vocabulary(5, 3), &device);
        weights(&initialize(Pretrain { model, objectives }, 3))
    };
    // After other random numbers of the device, on an autodiff device, heads built first, initialized twice.
    let second = {
        let device = device.clone().autodiff();
        let _ = Tensor::<1>::random([99], burn::tensor::Distribution::Default, &device);
        let objectives = objectives(16, 40, vocabulary(5, 3), &device);
        let model = small().init(40, &device).unwrap();
        weights(&initialize(
            initialize(Pretrain { model, objectives }, 1),
            3,
        ))
    };
    assert_eq!(first, second);
    let model = small().init(40, &device).unwrap();
    let other = weights(&initialize(
        Pretrain {
            model,
            objectives: objectives(16, 40, vocabulary(5, 3), &device),
        },
        4,
    ));
    let is_random = |values: &[f32]| values.iter().any(|value| *value != values[0]);
    for (path, values) in first.iter().filter(|(_, values)| is_random(values)) {
        assert_ne!(values, &other[path], "{path}");
    }
}

#[test]
fn adding_modules_does_not_change_the_others() {
    let device = Device::flex();
    let larger = small()
        .with_encoder_layers(3)
        .with_caption_layers(1)
        .with_modality_embedding(true);
    let base = weights(&initialize(small().init(40, &device).unwrap(), 3));
    let larger = weights(&initialize(larger.init(40, &device).unwrap(), 3));
    assert!(larger.len() > base.len());
    for (path, values) in base {
        assert_eq!(values, larger[&path], "{path}");
    }
}

#[test]
fn parameters_are_sampled_independently() {
    let device = Device::flex();
    let all = weights(&initialize(small().init(40, &device).unwrap(), 3));
    let matrices: Vec<_> = all
        .iter()
        .filter(|(_, v)| v.len() > 100 && v[0] != v[1])
        .collect();
    for (i, (path, values)) in matrices.iter().enumerate() {
        for (other, others) in &matrices[..i] {
            // Scales may differ: compares signs.
            let signs = values.iter().zip(others.iter()).take(100);
            let same = signs.filter(|(a, b)| (**a > 0.0) == (**b > 0.0)).count();
            assert!(
                (15..85).contains(&same),
                "{path} and {other}: {same} of 100 signs"
            );
        }
    }
}

#[test]
fn distributions_are_those_of_the_papers() {
    let device = Device::flex();
    let model = small().init(400, &device).unwrap();
    let objectives = objectives(16, 400, vocabulary(50, 30), &device);
    let all = weights(&initialize(Pretrain { model, objectives }, 3));
    let mean_and_deviation = |path: &str| {
        let values = &all[path];
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>();
        (
            mean,
            (squares / values.len() as f32).sqrt(),
            values.len() as f32,
        )
    };
    let uniform = |fans: f32| (6.0 / fans).sqrt() / 3f32.sqrt();
    for (path, expected) in [
        ("model.words.word.weight", 0.02),
        ("model.words.position.weight", 0.02),
        ("objectives.detection.query_embed", 1.0),
        (
            "model.encoder.layers.0.feed_forward.inner.weight",
            uniform(48.0),
        ),
        (
            "model.encoder.layers.0.attention.query.weight",
            uniform(32.0),
        ),
        ("objectives.detection.heads.0.class.weight", uniform(67.0)),
        // Fan out: 32 channels of 3 x 3.
        (
            "model.backbone.stages.3.0.layers.1.conv.weight",
            (2.0f32 / (32.0 * 9.0)).sqrt(),
        ),
    ] {
        let (mean, deviation, count) = mean_and_deviation(path);
        // Five standard errors of the mean and of the deviation.
        assert!(
            mean.abs() < 5.0 * expected / count.sqrt(),
            "{path}: mean {mean}"
        );
        assert!(
            (deviation - expected).abs() < 5.0 * expected / (2.0 * count).sqrt(),
            "{path}: {deviation}, expected {expected}"
        );
    }
    for (path, values) in &all {
        let leaf = path.rsplit('.').next().unwrap();
        let constant = match leaf {
            "gamma" | "running_var" => 1.0,
            "beta" | "bias" | "running_mean" => 0.0,
            _ => continue,
        };
        assert!(values.iter().all(|v| *v == constant), "{path}");
    }
}

#[derive(Default)]
struct Trainable(Vec<String>);

impl ParamVisitor for Trainable {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if param.val().is_require_grad() {
            self.0.push(path.into());
        }
    }
}

#[test]
fn frozen_parameters_stay_frozen() {
    let device = Device::flex().autodiff();
    let trainable = |model: &vlp_models::E2eVlp| {
        let mut trainable = Trainable::default();
        visit_params(model, &mut trainable);
        trainable.0
    };
    let model = small().init(40, &device).unwrap();
    let before = trainable(&model);
    assert_eq!(before, trainable(&initialize(model, 3)));
    assert!(before.iter().all(|path| !path.contains("backbone.stem")
        && !path.contains("norm.gamma")
        || !path.contains("backbone")));
    assert!(
        before
            .iter()
            .any(|path| path.starts_with("backbone.stages.1"))
    );
}
