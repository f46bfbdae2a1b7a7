//! Gradients of every loss against finite differences, in f64, through model and head.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::OnceLock;

use burn::prelude::*;
use burn::tensor::FloatDType;
use common::{picture, predictions, redraw, slopes};
use vlp_objectives::detection::set_loss::SetSums;
use vlp_objectives::detection::{DetectionTarget, MatchCost, Matcher};
use vlp_objectives::testing::{CODES, D_MODEL, Rig};
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

fn agree(name: &str, (slope, difference): (f64, f64)) {
    // Central differences of step 1e-6 in f64 leave about 1e-8.
    let bound = 1e-6 * slope.abs().max(1.0);
    assert!(
        (slope - difference).abs() < bound,
        "{name}: {slope} {difference}"
    );
    assert!(
        slope.abs() > 1e-3,
        "{name}: a slope of {slope} shows nothing"
    );
}

fn check<O: Objective>(build: impl Fn(&Rig) -> O) {
    let rig = Rig::new(&device()).unwrap();
    for seed in 1..4 {
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(build(&rig)),
        };
        let pretrain = redraw(pretrain, seed);
        let batch = rig
            .batcher()
            .batch(&pretrain.objectives, &rig.examples[..3], &rig.device)
            .unwrap();
        let loss = |p: &Pretrain<_, Option<O>>| total(&p.losses(&batch).unwrap()).unwrap();
        let name = pretrain.objectives.as_ref().unwrap().name();
        agree(name, slopes(&pretrain, seed + 10, loss));
    }
}

#[test]
fn matching() {
    check(|rig| ItmConfig::default().init(D_MODEL, &rig.device));
}

#[test]
fn contrast() {
    check(|rig| {
        let config = ItcConfig {
            // A soft one: sharp products differ too much over the step.
            temperature: 0.4,
            ..ItcConfig::default()
        };
        config.init(D_MODEL, &rig.device)
    });
}

#[test]
fn masked_words() {
    let config = MlmConfig {
        probability: 0.5,
        ..MlmConfig::default()
    };
    check(|rig| config.init(D_MODEL, rig.pieces.vocab_size(), &rig.device));
}

#[test]
fn masked_cells() {
    // The linear head: the cosine's table has no gradient on purpose, and the difference would move it.
    let config = MvmConfig {
        probability: 1.0,
        head: MvmHead::Linear,
        ..MvmConfig::default()
    };
    check(|rig| config.init(D_MODEL, CODES, &rig.device).unwrap());
}

#[test]
fn captions() {
    check(|rig| CaptioningConfig::default().init(rig.pieces.vocab_size(), &rig.device));
}

#[test]
fn detection() {
    for from_joint in [false, true] {
        let config = DetectionConfig {
            num_queries: 6,
            from_joint,
            ..DetectionConfig::default()
        };
        check(|rig| {
            config
                .init(D_MODEL, vec![rig.vocabulary()], &rig.device)
                .unwrap()
        });
    }
}

/// Each term of the set losses by itself, with respect to free predictions.
#[test]
fn every_term_of_the_set_losses() {
    let device = device().autodiff();
    let pictures: Vec<DetectionTarget> = (0..3).map(|i| picture([3, 0, 5][i], i as u64)).collect();
    let targets: Vec<&DetectionTarget> = pictures.iter().collect();
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
        let loss = |at: [Tensor<4>; 3]| {
            let [logits, boxes, attributes] = at;
            let output = vlp_objectives::detection::DetectionOutput {
                logits,
                boxes,
                attributes: Some(attributes),
            };
            let means = SetSums::new(&output, &targets, &pairs, 0.1).means();
            let (name, value) = means[term].clone();
            (name, value.sum())
        };
        let (name, value) = loss(leaves.clone());
        let grads = value.backward();
        let steps: Vec<Tensor<4>> = (0..3)
            .map(|i| common::random(leaves[i].dims(), 40 + i as u64, &device))
            .collect();
        let slope: f64 = (0..3)
            .filter_map(|i| {
                let grad = leaves[i].grad(&grads)?;
                Some(common::scalar((grad * steps[i].clone().inner()).sum()))
            })
            .sum();
        let at = |scale: f64| {
            let moved = std::array::from_fn(|i| {
                leaves[i].clone().detach() + steps[i].clone().mul_scalar(scale)
            });
            common::scalar(loss(moved).1)
        };
        agree(name, (slope, (at(1e-6) - at(-1e-6)) / 2e-6));
    }
}
