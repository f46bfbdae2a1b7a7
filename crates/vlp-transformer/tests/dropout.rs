//! Dropout. Alone in its process: the device's random stream is one for all threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{distance, encoder, random};
use vlp_transformer::{AttentionBias, Encoder, LayerConfig};

/// Tests that draw from the device's stream take turns.
static STREAM: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn dropout_is_for_training_alone() {
    let _turn = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let encoder = encoder(LayerConfig::detr(16, 4, 32, 0.5), 2, &device);
    let x = random([2, 5, 16], 1, &device);
    device.seed(1);
    let run = || encoder.forward(x.clone(), None, None);
    let (first, second) = (run(), run());
    assert!(distance(first.clone(), second) > 0.1);
    device.seed(1);
    assert_eq!(distance(first, run()), 0.0, "the seed decides");
    let valid = || encoder.valid().forward(x.clone().inner(), None, None);
    assert_eq!(distance(valid(), valid()), 0.0);
}

#[test]
fn layers_computed_again_drop_the_same() {
    let _turn = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let plain = encoder(LayerConfig::bert(16, 4, 32, 0.3), 3, &device);
    let again = plain.clone().with_recompute(true);
    let hidden = Tensor::<2, Int>::from_ints([[0, 0, 0, 1, 1], [0; 5]], &device).equal_elem(1);
    let bias = AttentionBias::padding(hidden);
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
    for (kept, again) in run(&plain).into_iter().zip(run(&again)) {
        assert_eq!(distance(kept, again), 0.0);
    }
}
