//! [`attention`](crate::attention()) with a gradient that takes half as many kernels as autodiff's; heads are split once.

use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

use super::with_gradient;
use crate::composed::attention::{
    ComposedAttention, Options, apply_mask, composed_attention, join_heads, split_heads,
};
use crate::graph::autodiff_primitive;

/// Attention of `[query, key, value]`; `None` for tensors that are not on this backend with autodiff.
pub(crate) fn attention<B: Backend>(inputs: &[Tensor<3>; 3], options: &Options) -> Option<Tensor<3>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let [query, key, value] = inputs.each_ref().map(autodiff_primitive::<B, 3>);
    let parents = [query?, key?, value?];
    let n_heads = options.n_heads;
    let scale = options.scale(inputs[0].dims()[2]);
    let dropout = options.dropout;
    let options = Options {
        bias: options.bias.clone().map(Tensor::inner),
        ..*options
    };
    let heads = inputs
        .each_ref()
        .map(|x| split_heads(x.clone().inner(), n_heads));
    let [query, key, value] = heads.clone();
    let ComposedAttention { output, weights } = composed_attention(heads, scale, options);
    let grad_fn = move |grad_output| {
        let grad_output = split_heads(grad_output, n_heads);
        let grad_value = apply_mask(weights.clone(), dropout)
            .swap_dims(1, 2)
            .matmul(grad_output.clone());
        let grad_weights = grad_output.matmul(value.swap_dims(1, 2));
        let grad_weights = apply_mask(grad_weights, dropout);
        let mean = (grad_weights.clone() * weights.clone()).sum_dim(2);
        let grad_scores = (weights * (grad_weights - mean)).mul_scalar(scale);
        let grad_query = grad_scores.clone().matmul(key);
        let grad_key = grad_scores.swap_dims(1, 2).matmul(query);
        [grad_query, grad_key, grad_value].map(|grad| join_heads(grad, n_heads).into_dispatch())
    };
    Some(with_gradient::<B, 3, 3>(output, parents, grad_fn))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use burn::backend::Flex;
    use vlp_testing::random;

    use super::*;
    use crate::DropoutMask;
    use crate::custom_grad::tests::assert_same_gradients;

    #[test]
    fn gives_the_results_of_the_cpu_fast_path() {
        let device = Device::flex().autodiff();
        let bias: Tensor<4> = random([2, 1, 1, 7], 4, &device);
        device.seed(7);
        let layer = burn::nn::DropoutConfig::new(0.3).init();
        let reshape = |all: &[Tensor<1>]| {
            let [query, key, value] = [0, 1, 2].map(|i| all[i].clone());
            [
                query.reshape([2, 5, 12]),
                key.reshape([2, 7, 12]),
                value.reshape([2, 7, 12]),
            ]
        };
        for dropout in [None, DropoutMask::sample(&layer, &device)] {
            let custom = |all: &[Tensor<1>]| {
                let options = Options {
                    bias: Some(bias.clone()),
                    dropout,
                    n_heads: 3,
                };
                let output = attention::<Flex>(&reshape(all), &options);
                output.expect("tensors of the CPU").reshape([-1])
            };
            let fast = |all: &[Tensor<1>]| {
                let [query, key, value] = reshape(all);
                let bias = Some(bias.clone());
                crate::attention(query, key, value, bias, dropout, 3).reshape([-1])
            };
            // Values of about 1, rounded in another order.
            let lengths = [2 * 5 * 12, 2 * 7 * 12, 2 * 7 * 12];
            assert_same_gradients(&lengths, 1e-5, custom, fast);
        }
    }
}
