//! Softmax over the last axis, its gradient in one pass.
//!
//! Needed as long as burn composes the gradient from five element-wise operations.

use burn::prelude::*;

/// `softmax(x)` over the last axis; any shape. A row of nothing but `-inf` is NaN.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::route::fast(&x) {
        return fast::softmax(x);
    }
    burn::tensor::activation::softmax(x, D - 1)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use crate::flex::tape::*;
    use crate::flex::{
        Array, array, blocks, dense, exp, greatest, made, owned, sum, sum2, task_rows, values,
    };

    #[backend_extension(Flex, Autodiff)]
    trait SoftmaxBackend: Backend {
        fn last_softmax(x: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    pub(super) fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as SoftmaxBackend>::last_softmax(
            x.into_dispatch(),
        ))
    }

    fn width(x: &Array) -> usize {
        x.shape().as_slice().last().copied().unwrap_or(1)
    }

    impl SoftmaxBackend for Flex {
        fn last_softmax(x: Array) -> Array {
            let x = dense(&x);
            let (source, width) = (values(&x), width(&x));
            let block = task_rows(width) * width;
            let out = made(
                source.len(),
                block,
                #[inline(always)]
                |i, out| {
                    let rows = source[i * block..].chunks_exact(width);
                    for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                        let greatest = greatest(row);
                        for (out, x) in out.iter_mut().zip(row) {
                            *out = exp(*x - greatest);
                        }
                        let scale = 1.0 / sum(out, |y| y);
                        // Of a row of -inf alone the exponents are NaN, which `exp` keeps.
                        for out in out {
                            *out *= scale;
                        }
                    }
                },
            );
            array(out, x.shape())
        }
    }

    #[derive(Debug)]
    struct LastSoftmax;

    impl Backward<Flex, 1> for LastSoftmax {
        type State = Array;

        fn backward(self, ops: Ops<Array, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let mut grad = owned(grads.consume::<Flex>(&ops.node));
            let [Some(node)] = ops.parents else { return };
            let y = ops.state;
            let (result, width) = (values(&y), width(&y));
            let block = task_rows(width) * width;
            blocks(
                grad.storage_mut::<f32>(),
                block,
                #[inline(always)]
                |i, grad| {
                    let rows = result[i * block..].chunks_exact(width);
                    for (grad, y) in grad.chunks_exact_mut(width).zip(rows) {
                        let mean = sum2(y, grad, |y, g| y * g);
                        for (g, y) in grad.iter_mut().zip(y) {
                            *g = *y * (*g - mean);
                        }
                    }
                },
            );
            grads.register::<Flex>(node.id, grad);
        }
    }

    impl<C: CheckpointStrategy> SoftmaxBackend for Autodiff<Flex, C> {
        fn last_softmax(x: FloatTensor<Self>) -> FloatTensor<Self> {
            let output = Flex::last_softmax(x.primitive().clone());
            match LastSoftmax
                .prepare::<C>([x.node()])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
