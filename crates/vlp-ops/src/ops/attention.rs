//! Multi-head attention (Vaswani et al. 2017) that never stores the whole matrix of scores.
//!
//! Source of the backward pass: Dao et al. 2022, on the CPU without its blocks of keys. Needed as long as burn composes
//! attention from matmuls under autodiff, copies heads to split and merge them, and stores the attention weights of every layer.

use burn::prelude::*;

use crate::DropoutMask;
use crate::composed::attention::{Options, composed_attention, split_heads};

/// `softmax(query keyᵀ / sqrt(d / n_heads) + bias) value`, for each of `n_heads` equal parts of the last axis.
///
/// `bias` is added to the scores and gets no gradient. `dropout` is applied to the attention weights
/// `[batch, n_heads, queries, keys]`.
///
/// # Shapes
/// - `query`: `[batch, queries, d]`
/// - `key`, `value`: `[batch, keys, d]`
/// - `bias`: `[batch or 1, 1, queries or 1, keys]`
/// - output: `[batch, queries, d]`
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Option<Tensor<4>>,
    dropout: Option<DropoutMask>,
    n_heads: usize,
) -> Tensor<3> {
    cpu_path! {
        use crate::autodiff::attention as cpu;
        if cpu::accepts(&query, &key, &value, bias.as_ref(), n_heads) {
            return cpu::attention(query, key, value, bias, dropout, n_heads);
        }
    }
    let options = Options {
        bias,
        dropout,
        n_heads,
    };
    let inputs = [query, key, value];
    gpu_path! {
        use crate::custom_grad::attention::attention;
        if let Some(output) = attention(&inputs, &options) {
            return output;
        }
    }
    let scale = options.scale(inputs[0].dims()[2]);
    let inputs = inputs.map(|x| split_heads(x, n_heads));
    composed_attention(inputs, scale, options)
}
