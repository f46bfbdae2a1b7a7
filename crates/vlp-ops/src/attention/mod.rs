//! Attention of several heads (Vaswani et al. 2017), the matrix of scores never stored whole.
//!
//! Source of the backward pass: Dao et al. 2022, without its tiles of keys. Needed as long as burn composes attention
//! under autodiff of products, copies heads apart and together, and keeps every layer's weights.

mod composed;
#[cfg(feature = "flex")]
mod fast;
#[cfg(feature = "flex")]
mod kernels;

use burn::prelude::*;

use crate::Drops;
use composed::Rest;

/// `softmax(query keyᵀ / sqrt(d / heads) + bias) value`, for each of `heads` equal parts of the last axis.
///
/// `query` `[batch, queries, d]`, `key` and `value` `[batch, keys, d]`, to `[batch, queries, d]`. `bias`
/// `[batch or 1, 1, queries or 1, keys]` is added to scores and gets no gradient. `drops` falls out of the weights
/// `[batch, heads, queries, keys]`.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Option<Tensor<4>>,
    drops: Option<Drops>,
    heads: usize,
) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if fast::takes(&query, &key, &value, bias.as_ref(), heads) {
        return fast::attention(query, key, value, bias, drops, heads);
    }
    let (inputs, rest) = ([query, key, value], Rest { bias, drops, heads });
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(output) = composed::own::attention::<burn::backend::Cube>(&inputs, &rest) {
        return output;
    }
    composed::attention(inputs, rest)
}
