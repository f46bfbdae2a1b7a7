//! [`layer_norm`](crate::layer_norm()) with a gradient of six kernels, where autodiff composes some twenty.

use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

use super::with_gradient;
use crate::graph::autodiff_primitive;

/// Layer norm; `None` for tensors that are not on this backend with autodiff.
pub(crate) fn layer_norm<B: Backend, const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let inputs = [
        autodiff_primitive(x)?,
        autodiff_primitive(gamma)?,
        autodiff_primitive(beta)?,
    ];
    let (shape, width) = (x.dims(), x.dims()[D - 1]);
    let matrix = [shape.iter().product::<usize>() / width.max(1), width];
    let [gamma, beta] = [gamma, beta].map(|line| line.clone().inner().unsqueeze::<2>());
    let rows = x.clone().inner().reshape(matrix);
    let centered = rows.clone() - rows.mean_dim(1);
    let variance = centered.clone().square().mean_dim(1);
    let scale = variance.add_scalar(epsilon).sqrt().recip();
    let normalized = centered * scale.clone();
    let output = normalized.clone() * gamma.clone() + beta;
    let grad_fn = move |grad: Tensor<D>| {
        let grad = grad.reshape(matrix);
        let grad_beta = grad.clone().sum_dim(0);
        let grad_gamma = (grad.clone() * normalized.clone()).sum_dim(0);
        let grad = grad * gamma;
        let mean_dy = grad.clone().mean_dim(1);
        let mean_dy_xhat = (grad.clone() * normalized.clone()).mean_dim(1);
        let grad_x = (grad - mean_dy - normalized * mean_dy_xhat) * scale;
        let line = |sum: Tensor<2>| sum.reshape([width]).into_dispatch();
        [
            grad_x.reshape(shape).into_dispatch(),
            line(grad_gamma),
            line(grad_beta),
        ]
    };
    let output = output.reshape(shape);
    Some(with_gradient::<B, D, 3>(output, inputs, grad_fn))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use burn::backend::Flex;
    use vlp_testing::random;

    use super::*;
    use crate::custom_grad::tests::assert_same_gradients;

    #[test]
    fn gives_the_results_of_the_cpu_fast_path() {
        let reshape = |all: &[Tensor<1>]| {
            let x: Tensor<3> = all[0].clone().reshape([3, 5, 17]);
            (x, all[1].clone(), all[2].clone())
        };
        let custom = |all: &[Tensor<1>]| {
            let (x, gamma, beta) = reshape(all);
            let y = layer_norm::<Flex, 3>(&x, &gamma, &beta, 1e-12);
            y.expect("tensors of the CPU").reshape([-1])
        };
        let fast = |all: &[Tensor<1>]| {
            let (x, gamma, beta) = reshape(all);
            crate::layer_norm(x, gamma, beta, 1e-12).reshape([-1])
        };
        // Values of about 10, rounded in another order.
        assert_same_gradients(&[3 * 5 * 17, 17, 17], 1e-5, custom, fast);
    }

    #[test]
    fn tensors_without_autodiff_are_not_accepted() {
        let device = Device::flex();
        let x: Tensor<2> = random([2, 3], 1, &device);
        let line: Tensor<1> = random([3], 2, &device);
        assert!(layer_norm::<Flex, 2>(&x, &line, &line, 1e-12).is_none());
    }
}
