//! Dropout. Alone in its process: the device's random stream is one for all threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{distance, encoder, random};
use vlp_transformer::LayerConfig;

#[test]
fn dropout_is_for_training_alone() {
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
