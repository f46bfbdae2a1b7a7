//! The operation with its gradient as a GPU takes them: six kernels where autodiff composes some twenty.

use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

use crate::gradient::with_gradient;
use crate::node::known;

/// As [`super::layer_norm`]; `None` for tensors that are not of this backend with autodiff.
pub(super) fn layer_norm<B: Backend, const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let inputs = [known(x)?, known(gamma)?, known(beta)?];
    let (shape, width) = (x.dims(), x.dims()[D - 1]);
    let table = [shape.iter().product::<usize>() / width.max(1), width];
    let [gain, shift] = [gamma, beta].map(|line| line.clone().inner().unsqueeze::<2>());
    let rows = x.clone().inner().reshape(table);
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    let scale = variance.add_scalar(epsilon).sqrt().recip();
    let normed = centred * scale.clone();
    let output = normed.clone() * gain.clone() + shift;
    Some(with_gradient::<B, D, 3>(
        output.reshape(shape),
        inputs,
        move |grad| {
            let grad = grad.reshape(table);
            let to_beta = grad.clone().sum_dim(0);
            let to_gamma = (grad.clone() * normed.clone()).sum_dim(0);
            let grad = grad * gain;
            let level = grad.clone().mean_dim(1);
            let tilt = (grad.clone() * normed.clone()).mean_dim(1);
            let to_x = (grad - level - normed * tilt) * scale;
            let line = |sum: Tensor<2>| sum.reshape([width]).into_dispatch();
            [
                to_x.reshape(shape).into_dispatch(),
                line(to_gamma),
                line(to_beta),
            ]
        },
    ))
}

#[cfg(all(test, feature = "flex"))]
#[allow(clippy::expect_used)]
mod tests {
    use burn::backend::Flex;
    use vlp_testing::random;

    use super::*;
    use crate::gradient::tests::agree;

    #[test]
    fn layer_norm_gives_what_the_fast_path_gives() {
        let take = |all: &[Tensor<1>]| {
            let x: Tensor<3> = all[0].clone().reshape([3, 5, 17]);
            (x, all[1].clone(), all[2].clone())
        };
        let own = |all: &[Tensor<1>]| {
            let (x, gamma, beta) = take(all);
            let y = layer_norm::<Flex, 3>(&x, &gamma, &beta, 1e-12);
            y.expect("tensors of the CPU").reshape([-1])
        };
        let fast = |all: &[Tensor<1>]| {
            let (x, gamma, beta) = take(all);
            crate::layer_norm(x, gamma, beta, 1e-12).reshape([-1])
        };
        // Values of about 10, rounded in another order.
        agree(&[3 * 5 * 17, 17, 17], 1e-5, own, fast);
    }

    #[test]
    fn tensors_without_autodiff_are_left_to_burn() {
        let device = Device::flex();
        let x: Tensor<2> = random([2, 3], 1, &device);
        let line: Tensor<1> = random([3], 2, &device);
        assert!(layer_norm::<Flex, 2>(&x, &line, &line, 1e-12).is_none());
    }
}
