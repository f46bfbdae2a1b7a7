//! The operation as products and a softmax; on a GPU with a gradient of its own, which takes half of the kernels that
//! autodiff composes, and copies heads apart once.

use burn::prelude::*;

use crate::{Drops, softmax};

/// What an attention takes beside query, key and value.
pub(super) struct Rest {
    pub(super) bias: Option<Tensor<4>>,
    pub(super) drops: Option<Drops>,
    pub(super) heads: usize,
}

/// As [`super::attention`] of `[query, key, value]`.
pub(super) fn attention(inputs: [Tensor<3>; 3], rest: Rest) -> Tensor<3> {
    let width = inputs[0].dims()[2];
    let heads = rest.heads;
    let inputs = inputs.map(|x| split(x, heads));
    forward(inputs, scale(width, heads), rest).0
}

/// The output `[batch, queries, d]`; the weights `[batch * heads, queries, keys]` and what they are multiplied by, for the
/// gradient.
fn forward(
    [query, key, value]: [Tensor<3>; 3],
    scale: f64,
    rest: Rest,
) -> (Tensor<3>, Tensor<3>, Option<Tensor<3>>) {
    let ([rows, queries, _], keys) = (query.dims(), key.dims()[1]);
    let apart = [rows / rest.heads, rest.heads, queries, keys];
    // Not `burn::tensor::module::attention`: on CUDA the kernel tuned for one length fails at another (burn 0.22.1).
    let scores = query.matmul(key.swap_dims(1, 2));
    let scores = scores.reshape(apart).mul_scalar(scale);
    let scores = match rest.bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let weights = softmax(scores);
    let device = weights.device();
    let factors = rest.drops.map(|drops| {
        let factors = drops.factors(apart, &device).cast(value.dtype());
        factors.reshape([rows, queries, keys])
    });
    let weights = weights.reshape([rows, queries, keys]);
    let output = dropped(weights.clone(), &factors).matmul(value);
    (together(output, rest.heads), weights, factors)
}

fn dropped(weights: Tensor<3>, factors: &Option<Tensor<3>>) -> Tensor<3> {
    match factors {
        Some(factors) => weights * factors.clone(),
        None => weights,
    }
}

/// What scores are multiplied by: `1 / sqrt(d / heads)`.
fn scale(width: usize, heads: usize) -> f64 {
    1.0 / ((width / heads) as f64).sqrt()
}

/// `[batch, length, d]` to `[batch * heads, length, d / heads]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, length, width] = x.dims();
    x.reshape([batch, length, heads, width / heads])
        .swap_dims(1, 2)
        .reshape([batch * heads, length, width / heads])
}

/// The inverse of [`split`].
fn together(x: Tensor<3>, heads: usize) -> Tensor<3> {
    let [rows, length, width] = x.dims();
    x.reshape([rows / heads, heads, length, width])
        .swap_dims(1, 2)
        .reshape([rows / heads, length, heads * width])
}

#[cfg(any(feature = "wgpu", feature = "cuda", test))]
pub(super) mod own {
    use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
    use burn::prelude::*;

    use super::{Rest, dropped, forward, scale, split, together};
    use crate::gradient::with_gradient;
    use crate::node::known;

    /// As [`super::attention`]; `None` for tensors that are not of this backend with autodiff.
    pub(in super::super) fn attention<B: Backend>(
        inputs: &[Tensor<3>; 3],
        rest: &Rest,
    ) -> Option<Tensor<3>>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    {
        let [query, key, value] = inputs.each_ref().map(known::<B, 3>);
        let parents = [query?, key?, value?];
        let (width, heads) = (inputs[0].dims()[2], rest.heads);
        let scale = scale(width, heads);
        let rest = Rest {
            bias: rest.bias.clone().map(Tensor::inner),
            ..*rest
        };
        let [query, key, value] = inputs.each_ref().map(|x| split(x.clone().inner(), heads));
        let all = [query.clone(), key.clone(), value.clone()];
        let (output, weights, factors) = forward(all, scale, rest);
        let rule = move |grad| {
            let grad = split(grad, heads);
            let to_value = dropped(weights.clone(), &factors)
                .swap_dims(1, 2)
                .matmul(grad.clone());
            let slope = dropped(grad.matmul(value.swap_dims(1, 2)), &factors);
            let mean = (slope.clone() * weights.clone()).sum_dim(2);
            let slope = (weights * (slope - mean)).mul_scalar(scale);
            let to_query = slope.clone().matmul(key);
            let to_key = slope.swap_dims(1, 2).matmul(query);
            [to_query, to_key, to_value].map(|slope| together(slope, heads).into_dispatch())
        };
        Some(with_gradient::<B, 3, 3>(output, parents, rule))
    }
}

#[cfg(all(test, feature = "flex"))]
#[allow(clippy::expect_used)]
mod tests {
    use burn::backend::Flex;
    use vlp_testing::random;

    use super::*;
    use crate::gradient::tests::agree;

    #[test]
    fn attention_gives_what_the_fast_path_gives() {
        let device = Device::flex().autodiff();
        let bias: Tensor<4> = random([2, 1, 1, 7], 4, &device);
        device.seed(7);
        let layer = burn::nn::DropoutConfig::new(0.3).init();
        let take = |all: &[Tensor<1>]| {
            let [query, key, value] = [0, 1, 2].map(|i| all[i].clone());
            [
                query.reshape([2, 5, 12]),
                key.reshape([2, 7, 12]),
                value.reshape([2, 7, 12]),
            ]
        };
        for drops in [None, Drops::draw(&layer, &device)] {
            let own = |all: &[Tensor<1>]| {
                let rest = Rest {
                    bias: Some(bias.clone()),
                    drops,
                    heads: 3,
                };
                let output = own::attention::<Flex>(&take(all), &rest);
                output.expect("tensors of the CPU").reshape([-1])
            };
            let fast = |all: &[Tensor<1>]| {
                let [query, key, value] = take(all);
                let bias = Some(bias.clone());
                crate::attention(query, key, value, bias, drops, 3).reshape([-1])
            };
            // Values of about 1, rounded in another order.
            agree(&[2 * 5 * 12, 2 * 7 * 12, 2 * 7 * 12], 1e-5, own, fast);
        }
    }
}
