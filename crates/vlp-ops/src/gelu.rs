//! GELU with the exact error function (Hendrycks & Gimpel 2016).
//!
//! Needed as long as burn's CPU backend runs element-wise functions value by value on one thread, and its gradient is that
//! of the approximation by tanh, off by 4e-4.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::prelude::*;

/// `x Phi(x)`, `Phi` the normal distribution function; any shape.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::route::fast(&x) {
        return fast::gelu(x);
    }
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(y) = own::gelu::<burn::backend::Cube, D>(&x) {
        return y;
    }
    x.clone() * below(x)
}

/// `Phi(x)`.
fn below<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.mul_scalar(FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        .mul_scalar(0.5)
}

/// With a gradient of one kernel, which keeps `x` alone.
#[cfg(any(feature = "wgpu", feature = "cuda", test))]
mod own {
    use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
    use burn::prelude::*;

    use super::below;
    use crate::gradient::with_gradient;
    use crate::node::known;

    /// `1 / sqrt(2 pi)`.
    const PEAK: f64 = 0.398_942_280_401_432_7;

    /// As [`super::gelu`]; `None` for a tensor that is not of this backend with autodiff.
    pub(super) fn gelu<B: Backend, const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    {
        let inputs = [known(x)?];
        let x = x.clone().inner();
        let output = x.clone() * below(x.clone());
        Some(with_gradient::<B, D, 1>(output, inputs, move |grad| {
            let density = x.clone().square().mul_scalar(-0.5).exp().mul_scalar(PEAK);
            [(grad * (below(x.clone()) + x * density)).into_dispatch()]
        }))
    }
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use crate::flex::tape::*;
    use crate::flex::{Array, TASK, array, blocks, dense, erf, exp, made, owned, values};

    #[backend_extension(Flex, Autodiff)]
    trait GeluBackend: Backend {
        fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    pub(super) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as GeluBackend>::exact_gelu(x.into_dispatch()))
    }

    /// `Phi(x)`.
    #[inline(always)]
    fn below(x: f32) -> f32 {
        0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
    }

    impl GeluBackend for Flex {
        fn exact_gelu(x: Array) -> Array {
            let x = dense(&x);
            let source = values(&x);
            let out = made(
                source.len(),
                TASK,
                #[inline(always)]
                |i, out| {
                    for (out, x) in out.iter_mut().zip(&source[i * TASK..]) {
                        *out = *x * below(*x);
                    }
                },
            );
            array(out, x.shape())
        }
    }

    #[derive(Debug)]
    struct ExactGelu;

    impl Backward<Flex, 1> for ExactGelu {
        type State = Array;

        fn backward(self, ops: Ops<Array, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let mut grad = owned(grads.consume::<Flex>(&ops.node));
            let [Some(node)] = ops.parents else { return };
            let x = dense(&ops.state);
            let source = values(&x);
            blocks(
                grad.storage_mut::<f32>(),
                TASK,
                #[inline(always)]
                |i, grad| {
                    for (g, x) in grad.iter_mut().zip(&source[i * TASK..]) {
                        // 1 / sqrt(2 pi).
                        let density = 0.398_942_3 * exp(-0.5 * *x * *x);
                        *g *= below(*x) + *x * density;
                    }
                },
            );
            grads.register::<Flex>(node.id, grad);
        }
    }

    impl<C: CheckpointStrategy> GeluBackend for Autodiff<Flex, C> {
        fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
            let source = x.primitive().clone();
            let output = Flex::exact_gelu(source.clone());
            match ExactGelu
                .prepare::<C>([x.node()])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(source, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}

#[cfg(all(test, feature = "flex"))]
#[allow(clippy::expect_used)]
mod tests {
    use burn::backend::Flex;

    use super::*;
    use crate::gradient::tests::agree;

    #[test]
    fn every_way_has_the_exact_gradient() {
        let own = |all: &[Tensor<1>]| own::gelu::<Flex, 1>(&all[0]).expect("a tensor of the CPU");
        let composed = |all: &[Tensor<1>]| all[0].clone() * below(all[0].clone());
        let fast = |all: &[Tensor<1>]| gelu(all[0].clone());
        // burn's erf and ours are off by some 1e-7 each; the gradient by tanh would be off by 4e-4.
        agree(&[2100], 3e-6, own, fast);
        agree(&[2100], 3e-6, composed, fast);
    }
}
