//! Shared by the tests of this crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    unused_imports
)]

use burn::module::{Module, Param};
use burn::prelude::*;
use vlp_objectives::Losses;
use vlp_objectives::detection::{DetectionOutput, DetectionTarget, TargetObject};
use vlp_ops::params::{ParamMapper, map_params};
pub use vlp_testing::{noise, random, randomize_weights, to_cpu};

pub fn scalar(tensor: Tensor<1>) -> f64 {
    to_cpu(tensor)[0]
}

/// Sets the learned temperature of the contrastive loss.
pub fn set_temperature<M: Module>(module: M, temperature: f64) -> M {
    struct SetTemperature(f64);
    impl ParamMapper for SetTemperature {
        fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match path.ends_with("temperature") {
                true => param.map(|old| {
                    let requires_grad = old.is_require_grad();
                    old.full_like(self.0).set_require_grad(requires_grad)
                }),
                false => param,
            }
        }
    }
    map_params(module, &mut SetTemperature(temperature))
}

/// Names with unweighted values.
pub fn terms(losses: &Losses) -> Vec<(&'static str, f64)> {
    let terms = losses.terms.iter();
    terms
        .map(|term| (term.name, scalar(term.value.clone())))
        .collect()
}

pub const CLASSES: usize = 5;
pub const ATTRIBUTES: usize = 4;
pub const QUERIES: usize = 7;

/// Random predictions of two layers.
pub fn predictions(batch: usize, seed: u64, device: &Device) -> DetectionOutput {
    let shape = |width| [2, batch, QUERIES, width];
    DetectionOutput {
        logits: random(shape(CLASSES + 1), seed, device).mul_scalar(3.0),
        attributes: Some(random(shape(ATTRIBUTES), seed + 1, device).mul_scalar(3.0)),
        boxes: random(shape(4), seed + 2, device)
            .mul_scalar(0.2)
            .add_scalar(0.4),
    }
}

/// An image with `count` random objects, every third of them without attributes.
pub fn image(count: usize, seed: u64) -> DetectionTarget {
    let values = noise(count * 8, seed + 1000);
    let pick = |value: f64, count: usize| ((value + 1.0) / 2.0 * count as f64) as usize;
    let object = |i: usize| {
        let values = &values[8 * i..];
        TargetObject {
            class: pick(values[0], CLASSES),
            bbox: [1, 2, 3, 4].map(|side| (values[side] * 0.2 + 0.4) as f32),
            attributes: match i % 3 {
                0 => vec![],
                1 => vec![pick(values[5], ATTRIBUTES)],
                _ => vec![0, 1 + pick(values[6], ATTRIBUTES - 1)],
            },
        }
    };
    DetectionTarget {
        vocabulary: Some(0),
        objects: (0..count).map(object).collect(),
        dropped: 0,
        ground_truth: vec![],
        image_id: seed,
        size: (64, 48),
    }
}

/// Derivative of `loss` along a random direction in parameter space: by autodiff and by central differences.
pub fn numeric_grad<M: Module>(
    module: &M,
    seed: u64,
    loss: impl Fn(&M) -> Tensor<1>,
) -> (f64, f64) {
    // Small enough that no ReLU, matching or box corner switches.
    let grad = vlp_testing::numeric_grad(module, seed, 1e-6, loss);
    (grad.autodiff, grad.numeric)
}
