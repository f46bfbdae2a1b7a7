//! Gradients of every loss against finite differences, in f64, through model and head.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "objectives/common/mod.rs"]
mod common;

use std::sync::OnceLock;

use burn::prelude::*;
use burn::tensor::FloatDType;
use common::{image, numeric_grad, predictions, randomize_weights, set_temperature};
use vlp_objectives::detection::set_loss::SetLossSums;
use vlp_objectives::detection::{DetectionTarget, MatchCost, Matcher};
use vlp_objectives::testing::{CODES, D_MODEL, Probe, Rig};
use vlp_objectives::{
    CaptioningConfig, DetectionConfig, ItcConfig, ItmConfig, MlmConfig, MvmConfig, MvmHead,
    Objective, Pretrain, total,
};

/// The whole process computes in f64.
fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure(FloatDType::F64).unwrap();
        device
    });
    device.clone()
}

fn assert_close(name: &str, (autodiff, numeric): (f64, f64)) {
    // Central differences of step 1e-6 in f64 are accurate to about 1e-8.
    let tolerance = 1e-6 * autodiff.abs().max(1.0);
    assert!(
        (autodiff - numeric).abs() < tolerance,
        "{name}: {autodiff} {numeric}"
    );
    assert!(
        autodiff.abs() > 1e-3,
        "{name}: a derivative of {autodiff} is too small to compare"
    );
}

fn check<O: Objective>(build: impl Fn(&Rig) -> O) {
    check_with(build, |pretrain| pretrain);
}

/// [`check`] of random weights that `change` changes.
fn check_with<O: Objective>(
    build: impl Fn(&Rig) -> O,
    change: impl Fn(Pretrain<Probe, Option<O>>) -> Pretrain<Probe, Option<O>>,
) {
    let rig = Rig::new(&device()).unwrap();
    for seed in 1..4 {
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(build(&rig)),
        };
        let pretrain = change(randomize_weights(pretrain, seed));
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, &rig.examples[..3], &rig.device)
            .unwrap();
        let loss = |p: &Pretrain<_, Option<O>>| total(&p.losses(&batch).unwrap()).unwrap();
        assert_close(O::NAME, numeric_grad(&pretrain, seed + 10, loss));
    }
}

#[test]
fn itm_gradient() {
    check(|rig| ItmConfig::default().init(D_MODEL, &rig.device));
}

#[test]
fn itc_gradient() {
    let build = |rig: &Rig| ItcConfig::default().init(D_MODEL, &rig.device);
    // Small temperatures have too large a second derivative for the step, and out of bounds the gradient is not that of the
    // clamp.
    check_with(build, |pretrain| set_temperature(pretrain, 0.4));
}

#[test]
fn mlm_gradient() {
    let config = MlmConfig::default().with_probability(0.5);
    check(|rig| config.init(D_MODEL, rig.tokenizer.vocab_size(), &rig.device));
}

#[test]
fn mvm_gradient() {
    // The linear head: the codebook of the cosine head gets no gradient, but central differences would change it.
    let config = MvmConfig::default()
        .with_probability(1.0)
        .with_head(MvmHead::Linear);
    check(|rig| config.init(D_MODEL, CODES, &rig.device).unwrap());
}

#[test]
fn captioning_gradient() {
    check(|rig| CaptioningConfig::default().init(rig.tokenizer.vocab_size(), &rig.device));
}

#[test]
fn detection_gradient() {
    for from_joint in [false, true] {
        let config = DetectionConfig::default()
            .with_num_queries(6)
            .with_from_joint(from_joint);
        check(|rig| {
            config
                .init(D_MODEL, vec![rig.vocabulary()], &rig.device)
                .unwrap()
        });
    }
}

/// Each term of the set losses by itself, with respect to free predictions.
#[test]
fn set_loss_gradients() {
    let device = device().autodiff();
    let images: Vec<DetectionTarget> = (0..3).map(|i| image([3, 0, 5][i], i as u64)).collect();
    let targets: Vec<&DetectionTarget> = images.iter().collect();
    let output = predictions(3, 5, &device);
    let pairs = Matcher::default()
        .assign(&output, &targets, &MatchCost::default())
        .unwrap();
    let leaves = [
        output.logits.clone().require_grad(),
        output.boxes.clone().require_grad(),
        output.attributes.clone().unwrap().require_grad(),
    ];
    for term in 0..4 {
        let loss = |[logits, boxes, attributes]: [Tensor<4>; 3]| {
            let output = vlp_objectives::detection::DetectionOutput {
                logits,
                boxes,
                attributes: Some(attributes),
            };
            let means = SetLossSums::new(&output, &targets, &pairs, 0.1).means();
            let (name, value) = means[term].clone();
            (name, value.sum())
        };
        let (name, value) = loss(leaves.clone());
        let grads = value.backward();
        let steps: Vec<Tensor<4>> = (0..3)
            .map(|i| common::random(leaves[i].dims(), 40 + i as u64, &device))
            .collect();
        let autodiff: f64 = (0..3)
            .filter_map(|i| {
                let grad = leaves[i].grad(&grads)?;
                Some(common::scalar((grad * steps[i].clone().inner()).sum()))
            })
            .sum();
        let loss_after = |step: f64| {
            let moved = std::array::from_fn(|i| {
                leaves[i].clone().detach() + steps[i].clone().mul_scalar(step)
            });
            common::scalar(loss(moved).1)
        };
        let numeric = (loss_after(1e-6) - loss_after(-1e-6)) / 2e-6;
        assert_close(name, (autodiff, numeric));
    }
}
