//! Attention composed of burn's operations.

use burn::prelude::*;

use super::softmax::softmax;
use crate::DropoutMask;

/// Arguments of an attention other than query, key and value.
pub(crate) struct Options {
    pub(crate) bias: Option<Tensor<4>>,
    pub(crate) dropout: Option<DropoutMask>,
    pub(crate) n_heads: usize,
}

impl Options {
    /// Factor of the scores, `1 / sqrt(d / n_heads)`.
    pub(crate) fn scale(&self, width: usize) -> f64 {
        1.0 / ((width / self.n_heads) as f64).sqrt()
    }
}

/// Attention composed of burn's operations, of inputs from [`split_heads`]: `[batch, queries, d]`.
pub(crate) fn composed_attention(
    [query, key, value]: [Tensor<3>; 3],
    scale: f64,
    options: Options,
) -> Tensor<3> {
    let ([rows, queries, _], keys) = (query.dims(), key.dims()[1]);
    let per_head = [rows / options.n_heads, options.n_heads, queries, keys];
    // Not `burn::tensor::module::attention`: on CUDA the kernel tuned for one length fails at another (burn 0.22.1).
    let scores = query.matmul(key.swap_dims(1, 2));
    let scores = scores.reshape(per_head).mul_scalar(scale);
    let scores = match options.bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let weights = softmax(scores);
    let weights = weights.reshape([rows, queries, keys]);
    let weights = match options.dropout {
        Some(mask) => mask.apply(weights),
        None => weights,
    };
    join_heads(weights.matmul(value), options.n_heads)
}

/// `[batch, length, d]` to `[batch * n_heads, length, d / n_heads]`.
pub(crate) fn split_heads(x: Tensor<3>, n_heads: usize) -> Tensor<3> {
    let [batch, length, width] = x.dims();
    x.reshape([batch, length, n_heads, width / n_heads])
        .swap_dims(1, 2)
        .reshape([batch * n_heads, length, width / n_heads])
}

/// The inverse of [`split_heads`].
fn join_heads(x: Tensor<3>, n_heads: usize) -> Tensor<3> {
    let [rows, length, width] = x.dims();
    x.reshape([rows / n_heads, n_heads, length, width])
        .swap_dims(1, 2)
        .reshape([rows / n_heads, length, n_heads * width])
}
