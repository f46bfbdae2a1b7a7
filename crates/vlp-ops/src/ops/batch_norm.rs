//! A trained batch norm (Ioffe & Szegedy 2015) with the shortcut and ReLU that follow it in a residual network.
//!
//! Needed as long as burn's CPU backend runs each of the three as separate passes on one thread.

use burn::prelude::*;
use burn::tensor::activation;
use burn::tensor::module::batch_norm_train;

use crate::BatchNormOutput;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta + shortcut`, through ReLU if `relu`, with the mean and the biased
/// variance of each channel of the batch.
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
    let norm = batch_norm_train(x, gamma, beta, epsilon);
    let y = match shortcut {
        Some(shortcut) => norm.output + shortcut,
        None => norm.output,
    };
    BatchNormOutput {
        output: if relu { activation::relu(y) } else { y },
        mean: norm.mean,
        variance: norm.variance,
    }
}
