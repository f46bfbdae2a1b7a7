//! A trained batch norm (Ioffe & Szegedy 2015) with the shortcut and ReLU that follow it in a residual network.
//!
//! Needed as long as burn's CPU backend runs each of the three as separate passes on one thread.

use burn::prelude::*;
use burn::tensor::activation;
use burn::tensor::module::batch_norm_train;

use crate::{BatchNormOutput, from_activation_precision};

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta + shortcut`, through ReLU if `relu`, with the mean and the biased
/// variance of each channel of the batch. Activations of 16 bits are normalized in f32, and the output is rounded.
///
/// # Shapes
/// - `x`, `shortcut`: `[batch, channels, h, w]`
/// - `gamma`, `beta`: `[channels]`
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    shortcut: Option<Tensor<4>>,
    relu: bool,
) -> BatchNormOutput {
    cpu_path! {
        use crate::dispatch::takes_fast_path;
        let [_, channels, _, _] = x.dims();
        let shortcut_fits = shortcut
            .as_ref()
            .is_none_or(|shortcut| shortcut.dims() == x.dims() && takes_fast_path(shortcut));
        let fits = gamma.dims() == [channels] && beta.dims() == [channels] && shortcut_fits;
        if fits && takes_fast_path(&x) && takes_fast_path(&gamma) && takes_fast_path(&beta) {
            return crate::autodiff::batch_norm::batch_norm(x, gamma, beta, epsilon, shortcut, relu);
        }
    }
    let dtype = x.dtype();
    let norm = batch_norm_train(from_activation_precision(x), gamma, beta, epsilon);
    let y = match shortcut {
        Some(shortcut) => norm.output + from_activation_precision(shortcut),
        None => norm.output,
    };
    let y = if relu { activation::relu(y) } else { y };
    BatchNormOutput {
        output: if y.dtype() == dtype { y } else { y.cast(dtype) },
        mean: norm.mean,
        variance: norm.variance,
    }
}
