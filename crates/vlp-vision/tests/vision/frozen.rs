//! Frozen and trained parameters.

use crate::common::{has_grad, max_abs_diff, perturb_norms, random, statistics};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_vision::{Depth, NormMode, ResNet, ResNetConfig, Stem};

fn config(norm: NormMode, frozen_stages: usize) -> ResNetConfig {
    ResNetConfig::new(Depth::R10)
        .with_width(4)
        .with_stem(Stem::Small)
        .with_norm(norm)
        .with_frozen_stages(frozen_stages)
}

fn loss(backbone: &ResNet, device: &Device) -> Tensor<1> {
    let feature_maps = backbone.forward(random([2, 3, 32, 40], 1, device));
    feature_maps
        .into_iter()
        .map(|map| map.square().mean())
        .reduce(|a, b| a + b)
        .unwrap()
}

/// Whether the parameter at `path` should train.
fn expected(path: &str, norm: NormMode, frozen_stages: usize) -> bool {
    let stage = match path.split('.').collect::<Vec<_>>()[..] {
        ["stem", ..] => 1,
        ["stages", stage, ..] => stage.parse::<usize>().unwrap() + 2,
        _ => panic!("{path}"),
    };
    let is_buffer = path.contains("running_");
    let is_frozen_norm = path.contains("norm.") && norm == NormMode::Frozen;
    stage > frozen_stages && !is_buffer && !is_frozen_norm
}

#[test]
fn only_frozen_parameters_have_no_gradient() {
    let device = Device::flex().autodiff();
    for norm in [NormMode::Frozen, NormMode::Trained] {
        for frozen_stages in 0..5 {
            let backbone = config(norm, frozen_stages).init(&device).unwrap();
            let grads = GradientsParams::from_grads(loss(&backbone, &device).backward(), &backbone);
            for (path, has_grad) in has_grad(&backbone, grads) {
                assert_eq!(
                    has_grad,
                    expected(&path, norm, frozen_stages),
                    "{path}, {norm:?}, {frozen_stages}"
                );
            }
        }
    }
}

#[test]
fn freeze_restores_a_thawed_backbone() {
    let device = Device::flex().autodiff();
    let config = config(NormMode::Frozen, 2);
    let thawed = config.init(&device).unwrap().unfreeze();
    let backbone = config.freeze(thawed).unwrap();
    let grads = GradientsParams::from_grads(loss(&backbone, &device).backward(), &backbone);
    for (path, has_grad) in has_grad(&backbone, grads) {
        assert_eq!(has_grad, expected(&path, NormMode::Frozen, 2), "{path}");
    }
}

#[test]
fn only_trained_norms_update_running_statistics() {
    let device = Device::flex().autodiff();
    for norm in [NormMode::Frozen, NormMode::Trained] {
        let backbone = perturb_norms(config(norm, 2).init(&device).unwrap());
        let before = statistics(&backbone);
        for _ in 0..3 {
            loss(&backbone, &device);
        }
        for (path, values) in statistics(&backbone) {
            let trains = norm == NormMode::Trained
                && !path.starts_with("stem")
                && !path.starts_with("stages.0");
            assert_eq!(values != before[&path], trains, "{path}, {norm:?}");
        }
    }
}

#[test]
fn frozen_norms_are_equal_in_training_and_inference() {
    let device = Device::flex().autodiff();
    let backbone = perturb_norms(config(NormMode::Frozen, 2).init(&device).unwrap());
    let pixels = random([2, 3, 32, 40], 3, &device);
    let training = backbone.forward(pixels.clone()).remove(3).inner();
    let inference = backbone.valid().forward(pixels.inner()).remove(3);
    assert_eq!(max_abs_diff(training, inference), 0.0);
}

#[test]
fn changed_norms_take_effect_after_a_forward_pass() {
    let device = Device::flex();
    let init = || config(NormMode::Frozen, 2).init(&device).unwrap();
    let pixels = random([1, 3, 32, 40], 3, &device);
    let used = init();
    let before = used.forward(pixels.clone()).remove(3);
    let changed = perturb_norms(used);
    let unused = init().load_record(changed.clone().into_record());
    let expected = unused.forward(pixels.clone()).remove(3);
    let after = changed.forward(pixels).remove(3);
    assert_eq!(max_abs_diff(after.clone(), expected), 0.0);
    assert!(max_abs_diff(before, after) > 0.0);
}
