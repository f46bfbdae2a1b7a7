//! First weights: where they come from and how they are spread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use common::{objectives, small, vocabulary, weights};
use vlp_models::{E2eVlpConfig, initialise};
use vlp_objectives::Pretrain;

#[test]
fn weights_are_a_function_of_seed_and_path() {
    let device = Device::flex();
    let first = {
        let model = small().init(40, &device).unwrap();
        let objectives = objectives(16, 40, vocabulary(5, 3), &device);
        weights(&initialise(Pretrain { model, objectives }, 3))
    };
    // Heads first, other draws of the device before them, on the training side, layers configured anew.
    let second = {
        let device = device.clone().autodiff();
        let _ = Tensor::<1>::random([99], burn::tensor::Distribution::Default, &device);
        let objectives = objectives(16, 40, vocabulary(5, 3), &device);
        let model = small().init(40, &device).unwrap();
        weights(&initialise(
            initialise(Pretrain { model, objectives }, 1),
            3,
        ))
    };
    assert_eq!(first, second);
    let model = small().init(40, &device).unwrap();
    let other = weights(&initialise(
        Pretrain {
            model,
            objectives: objectives(16, 40, vocabulary(5, 3), &device),
        },
        4,
    ));
    let drawn = |values: &Vec<f32>| values.iter().any(|v| *v != values[0]);
    for (path, values) in first.iter().filter(|(_, values)| drawn(values)) {
        assert_ne!(values, &other[path], "{path}");
    }
}

#[test]
fn a_further_part_leaves_the_others_as_they_were() {
    let device = Device::flex();
    let more = E2eVlpConfig {
        encoder_layers: 3,
        caption_layers: 1,
        modality_embedding: true,
        recompute: vec![],
        quantiser: None,
        ..small()
    };
    let base = weights(&initialise(small().init(40, &device).unwrap(), 3));
    let more = weights(&initialise(more.init(40, &device).unwrap(), 3));
    assert!(more.len() > base.len());
    for (path, values) in base {
        assert_eq!(values, more[&path], "{path}");
    }
}

#[test]
fn no_two_parameters_share_their_draws() {
    let device = Device::flex();
    let all = weights(&initialise(small().init(40, &device).unwrap(), 3));
    let matrices: Vec<_> = all
        .iter()
        .filter(|(_, v)| v.len() > 100 && v[0] != v[1])
        .collect();
    for (i, (path, values)) in matrices.iter().enumerate() {
        for (other, others) in &matrices[..i] {
            // Of different scale perhaps, but not of the same signs.
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
fn spreads_are_those_of_the_papers() {
    let device = Device::flex();
    let model = small().init(400, &device).unwrap();
    let objectives = objectives(16, 400, vocabulary(50, 30), &device);
    let all = weights(&initialise(Pretrain { model, objectives }, 3));
    let deviation = |path: &str| {
        let values = &all[path];
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>();
        (
            mean,
            (square / values.len() as f32).sqrt(),
            values.len() as f32,
        )
    };
    let uniform = |fans: f32| (6.0 / fans).sqrt() / 3f32.sqrt();
    for (path, want) in [
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
        // Outgoing connections: 32 channels of 3 x 3.
        (
            "model.backbone.stages.3.0.layers.1.conv.weight",
            (2.0f32 / (32.0 * 9.0)).sqrt(),
        ),
    ] {
        let (mean, found, count) = deviation(path);
        // Five standard errors of a mean and of a deviation.
        assert!(
            mean.abs() < 5.0 * want / count.sqrt(),
            "{path}: mean {mean}"
        );
        assert!(
            (found - want).abs() < 5.0 * want / (2.0 * count).sqrt(),
            "{path}: {found} not {want}"
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

struct Frozen {
    path: Vec<String>,
    trains: Vec<String>,
}

impl ModuleVisitor for Frozen {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().is_require_grad() {
            self.trains.push(self.path.join("."));
        }
    }
}

#[test]
fn what_was_frozen_stays_frozen() {
    let device = Device::flex().autodiff();
    let trains = |module: &vlp_models::E2eVlp| {
        let mut visitor = Frozen {
            path: vec![],
            trains: vec![],
        };
        module.visit(&mut visitor);
        visitor.trains
    };
    let model = small().init(40, &device).unwrap();
    let before = trains(&model);
    assert_eq!(before, trains(&initialise(model, 3)));
    assert!(before.iter().all(|path| !path.contains("backbone.stem")
        && !path.contains("norm.gamma")
        || !path.contains("backbone")));
    assert!(
        before
            .iter()
            .any(|path| path.starts_with("backbone.stages.1"))
    );
}
