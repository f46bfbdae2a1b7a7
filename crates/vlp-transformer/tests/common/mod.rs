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
use burn::tensor::TensorData;
pub use vlp_testing::{distance, host, noise, random, redraw};
use vlp_transformer::{Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory};

pub fn mask<const D: usize>(
    shape: [usize; D],
    hidden: impl Fn(usize) -> bool,
    device: &Device,
) -> Tensor<D, Bool> {
    let at: Vec<bool> = (0..shape.iter().product()).map(hidden).collect();
    Tensor::from_data(TensorData::new(at, shape), device)
}

pub fn encoder(layer: LayerConfig, layers: usize, device: &Device) -> Encoder {
    redraw(EncoderConfig { layers, layer }.init(device).unwrap(), 1)
}

pub fn decoder(layer: LayerConfig, layers: usize, device: &Device) -> Decoder {
    redraw(DecoderConfig { layers, layer }.init(device).unwrap(), 2)
}

pub fn memory(batch: usize, tokens: usize, width: usize, device: &Device) -> Memory {
    Memory {
        states: random([batch, tokens, width], 11, device),
        pos: random([batch, tokens, width], 12, device),
        // Row i of the batch ends i tokens early.
        pad_mask: mask(
            [batch, tokens],
            |at| at % tokens + at / tokens >= tokens,
            device,
        ),
    }
}

/// Slope of `loss` along a random direction of all weights: by its gradient, and by central difference.
pub fn slopes<M: Module>(module: &M, seed: u64, loss: impl Fn(&M) -> Tensor<1>) -> (f64, f64) {
    let slopes = vlp_testing::slopes(module, seed, 1e-5, loss);
    assert_eq!(slopes.without, 0, "a weight has no gradient");
    (slopes.gradient, slopes.difference)
}
