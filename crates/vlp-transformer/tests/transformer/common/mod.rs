//! Helpers of this crate's tests.
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
pub use vlp_testing::{max_abs_diff, noise, random, randomize_weights, to_cpu};
use vlp_transformer::{Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory};

pub fn mask<const D: usize>(
    shape: [usize; D],
    is_masked: impl Fn(usize) -> bool,
    device: &Device,
) -> Tensor<D, Bool> {
    let values: Vec<bool> = (0..shape.iter().product()).map(is_masked).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn encoder(layer: LayerConfig, layers: usize, device: &Device) -> Encoder {
    randomize_weights(EncoderConfig::new(layers, layer).init(device).unwrap(), 1)
}

pub fn decoder(layer: LayerConfig, layers: usize, device: &Device) -> Decoder {
    randomize_weights(DecoderConfig::new(layers, layer).init(device).unwrap(), 2)
}

pub fn memory(batch: usize, tokens: usize, width: usize, device: &Device) -> Memory {
    Memory {
        states: random([batch, tokens, width], 11, device),
        pos: random([batch, tokens, width], 12, device),
        // The last i tokens of row i are padding.
        pad_mask: mask(
            [batch, tokens],
            |index| index % tokens + index / tokens >= tokens,
            device,
        ),
    }
}

/// Derivative of `loss` along a random direction in parameter space: by autodiff and by central differences.
pub fn numeric_grad<M: Module>(
    module: &M,
    seed: u64,
    loss: impl Fn(&M) -> Tensor<1>,
) -> (f64, f64) {
    let grad = vlp_testing::numeric_grad(module, seed, 1e-5, loss);
    assert_eq!(grad.params_without_grad, 0);
    (grad.autodiff, grad.numeric)
}
