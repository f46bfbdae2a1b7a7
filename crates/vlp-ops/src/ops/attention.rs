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
    #[cfg(any(feature = "flex", feature = "gpu"))]
    let sizes_match = sizes_match([&query, &key, &value], bias.as_ref(), n_heads);
    cpu_path! {
        use crate::autodiff::attention as cpu;
        if sizes_match && cpu::accepts([&query, &key, &value], bias.as_ref()) {
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
        if sizes_match && let Some(output) = attention(&inputs, &options) {
            return output;
        }
    }
    let scale = options.scale(inputs[0].dims()[2]);
    let inputs = inputs.map(|x| split_heads(x, n_heads));
    composed_attention(inputs, scale, options)
}

/// Whether the sizes of query, key, value and bias match.
#[cfg(any(feature = "flex", feature = "gpu"))]
fn sizes_match(
    [query, key, value]: [&Tensor<3>; 3],
    bias: Option<&Tensor<4>>,
    n_heads: usize,
) -> bool {
    let ([batch, queries, width], [_, keys, _]) = (query.dims(), key.dims());
    let bias_fits = bias.is_none_or(|bias| {
        let [b, h, q, k] = bias.dims();
        (b == 1 || b == batch) && h == 1 && (q == 1 || q == queries) && k == keys
    });
    let inputs_fit = key.dims() == [batch, keys, width] && value.dims() == key.dims();
    let heads_fit = n_heads > 0 && width.is_multiple_of(n_heads);
    bias_fits && inputs_fit && heads_fit
}
