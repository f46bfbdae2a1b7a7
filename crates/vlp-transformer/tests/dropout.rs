//! Dropout, in a process of its own: all threads share the device's random stream.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "transformer/common/mod.rs"]
mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{encoder, max_abs_diff, random};
use vlp_transformer::{AttentionBias, Encoder, LayerConfig};

/// Held while a test samples from the device's random stream.
static STREAM: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn dropout_is_applied_in_training_only() {
    let _guard = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let encoder = encoder(LayerConfig::detr(16, 4, 32, 0.5), 2, &device);
    let x = random([2, 5, 16], 1, &device);
    device.seed(1);
    let run = || encoder.forward(x.clone(), None, None);
    let (first, second) = (run(), run());
    assert!(max_abs_diff(first.clone(), second) > 0.1);
    device.seed(1);
    assert_eq!(max_abs_diff(first, run()), 0.0, "same seed");
    let valid = || encoder.valid().forward(x.clone().inner(), None, None);
    assert_eq!(max_abs_diff(valid(), valid()), 0.0);
}

#[test]
fn recomputed_layers_use_the_same_dropout_masks() {
    let _guard = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let plain = encoder(LayerConfig::bert(16, 4, 32, 0.3), 3, &device);
    let recomputing = plain.clone().with_recompute(true);
    let padding = Tensor::<2, Int>::from_ints([[0, 0, 0, 1, 1], [0; 5]], &device).equal_elem(1);
    let bias = AttentionBias::padding(padding);
    let run = |encoder: &Encoder| {
        device.seed(2);
        let x = random([2, 5, 16], 1, &device).require_grad();
        let pos = random([2, 5, 16], 2, &device).require_grad();
        let y = encoder.forward(x.clone(), Some(pos.clone()), Some(&bias));
        let grads = (y.clone() * random([2, 5, 16], 3, &device))
            .sum()
            .backward();
        [
            y.inner(),
            x.grad(&grads).unwrap(),
            pos.grad(&grads).unwrap(),
        ]
    };
    for (stored, recomputed) in run(&plain).into_iter().zip(run(&recomputing)) {
        assert_eq!(max_abs_diff(stored, recomputed), 0.0);
    }
}
