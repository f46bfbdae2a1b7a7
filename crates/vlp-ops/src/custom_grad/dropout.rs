//! [`dropout`](crate::dropout()) with a gradient that recomputes the mask.

use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

use super::with_gradient;
use crate::DropoutMask;
use crate::graph::autodiff_primitive;

/// `x` times the factors of the mask; `None` for a tensor that is not on this backend with autodiff.
pub(crate) fn dropout<B: Backend, const D: usize>(
    x: &Tensor<D>,
    mask: DropoutMask,
) -> Option<Tensor<D>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let inputs = [autodiff_primitive(x)?];
    let output = mask.apply(x.clone().inner());
    let grad_fn = move |grad: Tensor<D>| [mask.apply(grad).into_dispatch()];
    Some(with_gradient::<B, D, 1>(output, inputs, grad_fn))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use burn::backend::Flex;

    use super::*;
    use crate::custom_grad::tests::assert_same_gradients;

    #[test]
    fn gives_the_results_of_the_cpu_fast_path() {
        let layer = burn::nn::DropoutConfig::new(0.3).init();
        let device = Device::flex().autodiff();
        let mask = DropoutMask::sample(&layer, &device).expect("a mask");
        let custom = |all: &[Tensor<1>]| dropout::<Flex, 1>(&all[0], mask).expect("on the CPU");
        let fast = |all: &[Tensor<1>]| crate::autodiff::dropout::dropout(all[0].clone(), mask);
        assert_same_gradients(&[2100], f64::MIN_POSITIVE, custom, fast);
    }
}
