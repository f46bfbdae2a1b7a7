//! What trains and what stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use common::{distance, random, scatter_norms, statistics, trained};
use vlp_vision::{Depth, NormMode, ResNet, ResNetConfig, Stem};

fn config(norm: NormMode, frozen_stages: usize) -> ResNetConfig {
    ResNetConfig {
        width: 4,
        stem: Stem::Small,
        norm,
        frozen_stages,
        ..ResNetConfig::new(Depth::R10)
    }
}

fn loss(trunk: &ResNet, device: &Device) -> Tensor<1> {
    let maps = trunk.forward(random([2, 3, 32, 40], 1, device));
    maps.into_iter()
        .map(|m| m.square().mean())
        .reduce(|a, b| a + b)
        .unwrap()
}

/// Whether the parameter at `path` should train.
fn expected(path: &str, norm: NormMode, frozen_stages: usize) -> bool {
    let part = match path.split('.').collect::<Vec<_>>()[..] {
        ["stem", ..] => 1,
        ["stages", stage, ..] => stage.parse::<usize>().unwrap() + 2,
        _ => panic!("{path}"),
    };
    let buffer = path.contains("running_");
    let fixed = path.contains("norm.") && norm == NormMode::Frozen;
    part > frozen_stages && !buffer && !fixed
}

#[test]
fn frozen_parts_get_no_gradient_and_the_others_do() {
    let device = Device::flex().autodiff();
    for norm in [NormMode::Frozen, NormMode::Trained] {
        // With everything frozen no loss has a gradient at all.
        for frozen in 0..5 {
            let trunk = config(norm, frozen).init(&device).unwrap();
            let grads = GradientsParams::from_grads(loss(&trunk, &device).backward(), &trunk);
            for (path, has) in trained(&trunk, grads) {
                assert_eq!(
                    has,
                    expected(&path, norm, frozen),
                    "{path}, {norm:?}, {frozen}"
                );
            }
        }
    }
}

#[test]
fn freezing_again_after_weights_were_replaced_holds() {
    let device = Device::flex().autodiff();
    let config = config(NormMode::Frozen, 2);
    let thawed = config.init(&device).unwrap().unfreeze();
    let trunk = config.freeze(thawed).unwrap();
    let grads = GradientsParams::from_grads(loss(&trunk, &device).backward(), &trunk);
    for (path, has) in trained(&trunk, grads) {
        assert_eq!(has, expected(&path, NormMode::Frozen, 2), "{path}");
    }
}

#[test]
fn only_trained_norms_take_in_the_batch() {
    let device = Device::flex().autodiff();
    for norm in [NormMode::Frozen, NormMode::Trained] {
        let trunk = scatter_norms(config(norm, 2).init(&device).unwrap());
        let before = statistics(&trunk);
        for _ in 0..3 {
            loss(&trunk, &device);
        }
        for (path, values) in statistics(&trunk) {
            let trains = norm == NormMode::Trained
                && !path.starts_with("stem")
                && !path.starts_with("stages.0");
            assert_eq!(values != before[&path], trains, "{path}, {norm:?}");
        }
    }
}

#[test]
fn frozen_norms_compute_the_same_in_training_and_inference() {
    let device = Device::flex().autodiff();
    let trunk = scatter_norms(config(NormMode::Frozen, 2).init(&device).unwrap());
    let pixels = random([2, 3, 32, 40], 3, &device);
    let training = trunk.forward(pixels.clone()).remove(3).inner();
    let inference = trunk.valid().forward(pixels.inner()).remove(3);
    assert_eq!(distance(training, inference), 0.0);
}
