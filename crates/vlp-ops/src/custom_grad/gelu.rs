//! [`gelu`](crate::gelu) with a gradient of one kernel, for which only `x` is stored, on a GPU in the precision of activations.

use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

use super::with_gradient;
use crate::composed::gelu::normal_cdf;
use crate::graph::autodiff_primitive;
use crate::{from_activation_precision, to_activation_precision};

/// `1 / sqrt(2 pi)`.
const INV_SQRT_2_PI: f64 = 0.398_942_280_401_432_7;

/// GELU; `None` for a tensor that is not on this backend with autodiff.
pub(crate) fn gelu<B: Backend, const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let inputs = [autodiff_primitive(x)?];
    let x = x.clone().inner();
    let output = x.clone() * normal_cdf(x.clone());
    let saved = to_activation_precision(x);
    Some(with_gradient::<B, D, 1>(output, inputs, move |grad| {
        let x = from_activation_precision(saved);
        let density = x.clone().square().mul_scalar(-0.5).exp();
        let density = density.mul_scalar(INV_SQRT_2_PI);
        [(grad * (normal_cdf(x.clone()) + x * density)).into_dispatch()]
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use burn::backend::Flex;

    use super::*;
    use crate::custom_grad::tests::assert_same_gradients;

    #[test]
    fn every_path_has_the_exact_gradient() {
        let custom = |all: &[Tensor<1>]| gelu::<Flex, 1>(&all[0]).expect("a tensor of the CPU");
        let composed = |all: &[Tensor<1>]| all[0].clone() * normal_cdf(all[0].clone());
        let fast = |all: &[Tensor<1>]| crate::gelu(all[0].clone());
        // burn's erf and ours are off by some 1e-7 each; the gradient of the tanh approximation would be off by 4e-4.
        assert_same_gradients(&[2100], 3e-6, custom, fast);
        assert_same_gradients(&[2100], 3e-6, composed, fast);
    }
}
