//! Attention of several heads (Vaswani et al. 2017), the matrix of scores never stored whole.
//!
//! Source of the backward pass: Dao et al. 2022, without its tiles of keys. Needed as long as burn composes attention
//! under autodiff of products, copies heads apart and together, and keeps every layer's weights.

#[cfg(feature = "flex")]
mod fast;
#[cfg(feature = "flex")]
mod kernels;

use burn::prelude::*;

use crate::{Drops, softmax};

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
    let [batch, queries, width] = query.dims();
    #[cfg(feature = "flex")]
    if fast::takes(&query, &key, &value, bias.as_ref(), heads) {
        return fast::attention(query, key, value, bias, drops, heads);
    }
    let split = |x: Tensor<3>| {
        let length = x.dims()[1];
        x.reshape([batch, length, heads, width / heads])
            .swap_dims(1, 2)
    };
    let together = |x: Tensor<4>| x.swap_dims(1, 2).reshape([batch, queries, width]);
    let [query, key, value] = [query, key, value].map(split);
    // Not `burn::tensor::module::attention`: on CUDA the kernel tuned for one length fails at another (burn 0.22.1).
    let scale = 1.0 / ((width / heads) as f64).sqrt();
    let scores = query.mul_scalar(scale).matmul(key.swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let weights = softmax(scores);
    let weights = match drops {
        Some(drops) => {
            let factors = drops.factors(weights.dims(), &weights.device());
            weights * factors.cast(value.dtype())
        }
        None => weights,
    };
    together(weights.matmul(value))
}
