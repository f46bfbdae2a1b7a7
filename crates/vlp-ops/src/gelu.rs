//! GELU with the exact error function (Hendrycks & Gimpel 2016).
//!
//! Needed as long as burn's CPU backend runs element-wise functions value by value on one thread.

use burn::prelude::*;

/// `x Phi(x)`, `Phi` the normal distribution function; any shape.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::route::fast(&x) {
        return fast::gelu(x);
    }
    burn::tensor::activation::gelu(x)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use crate::flex::tape::*;
    use crate::flex::{Array, TASK, array, blocks, dense, erf, exp, owned, values};

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
            let mut out = vec![0.0; source.len()];
            blocks(
                &mut out,
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
