//! What the tests of this crate share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    unused_imports
)]

use burn::module::Module;
use burn::prelude::*;
use vlp_objectives::Losses;
use vlp_objectives::detection::{DetectionOutput, DetectionTarget, TargetObject};
pub use vlp_testing::{host, noise, random, redraw};

pub fn scalar(tensor: Tensor<1>) -> f64 {
    host(tensor)[0]
}

/// Names with unweighted values.
pub fn terms(losses: &Losses) -> Vec<(String, f64)> {
    losses
        .terms
        .iter()
        .map(|(name, _, value)| (name.clone(), scalar(value.clone())))
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

/// A picture with `count` random objects, every third of them without attributes.
pub fn picture(count: usize, seed: u64) -> DetectionTarget {
    let values = noise(count * 8, seed + 1000);
    let pick = |value: f64, of: usize| ((value + 1.0) / 2.0 * of as f64) as usize;
    let object = |i: usize| {
        let at = &values[8 * i..];
        TargetObject {
            class: pick(at[0], CLASSES),
            bbox: [1, 2, 3, 4].map(|k| (at[k] * 0.2 + 0.4) as f32),
            attributes: match i % 3 {
                0 => vec![],
                1 => vec![pick(at[5], ATTRIBUTES)],
                _ => vec![0, 1 + pick(at[6], ATTRIBUTES - 1)],
            },
        }
    };
    DetectionTarget {
        vocabulary: Some(0),
        objects: (0..count).map(object).collect(),
        dropped: 0,
        key: seed,
        size: (64, 48),
    }
}

/// Slope of `loss` along a random direction of all weights: by its gradient, and by central difference.
pub fn slopes<M: Module>(module: &M, seed: u64, loss: impl Fn(&M) -> Tensor<1>) -> (f64, f64) {
    // Small enough to stay on one side of the ReLUs, the matching and the boxes' corners.
    let slopes = vlp_testing::slopes(module, seed, 1e-6, loss);
    (slopes.gradient, slopes.difference)
}
