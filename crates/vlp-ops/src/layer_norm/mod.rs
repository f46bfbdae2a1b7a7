//! Layer norm over the last axis (Ba et al. 2016), its gradient in two passes.
//!
//! Needed as long as burn composes the gradient from element-wise operations.

#[cfg(any(feature = "wgpu", feature = "cuda", test))]
mod composed;

use burn::prelude::*;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis of `x`, the variance biased; `gamma` and
/// `beta` are as long as that axis.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        use crate::route::fast;
        let width = [x.dims()[D - 1]];
        let fits = gamma.dims() == width && beta.dims() == width;
        if fits && fast(&x) && fast(&gamma) && fast(&beta) {
            return fast::layer_norm(x, gamma, beta, epsilon);
        }
    }
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(y) = composed::layer_norm::<burn::backend::Cube, D>(&x, &gamma, &beta, epsilon) {
        return y;
    }
    burn::tensor::module::layer_norm(x, gamma, Some(beta), epsilon)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::ops::ModuleOps;
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, owned, sum, sum2, task_rows, values, wide};

    #[backend_extension(Flex, Autodiff)]
    trait NormBackend: Backend {
        fn row_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            epsilon: f64,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn layer_norm<const D: usize>(
        x: Tensor<D>,
        gamma: Tensor<1>,
        beta: Tensor<1>,
        epsilon: f64,
    ) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as NormBackend>::row_norm(
            x.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            epsilon,
        ))
    }

    /// Mean of a row and the reciprocal of its deviation.
    #[inline(always)]
    fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
        let scale = 1.0 / row.len() as f32;
        let mean = sum(row, |x| x) * scale;
        let variance = sum(row, |x| (x - mean) * (x - mean)) * scale;
        (mean, 1.0 / (variance + epsilon).sqrt())
    }

    impl NormBackend for Flex {
        fn row_norm(x: Array, gamma: Array, beta: Array, epsilon: f64) -> Array {
            // Its forward pass is fast already.
            Flex::layer_norm(x, gamma, Some(beta), epsilon)
        }
    }

    #[derive(Debug)]
    struct RowNorm;

    impl Backward<Flex, 3> for RowNorm {
        type State = (Array, Array, f64);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let mut grad = owned(grads.consume::<Flex>(&ops.node));
            let (x, gamma, epsilon) = ops.state;
            let (x, gamma) = (dense(&x), dense(&gamma));
            let (source, gain) = (values(&x), values(&gamma));
            let width = gain.len();
            let block = task_rows(width) * width;
            // Every task sums the gain's and the shift's gradients over its rows.
            let parts: Vec<Vec<f32>> = grad
                .storage_mut::<f32>()
                .par_chunks_mut(block)
                .enumerate()
                .map(|(i, grad)| {
                    let source = &source[i * block..];
                    wide(
                        #[inline(always)]
                        || rows(grad, source, gain, epsilon as f32),
                    )
                })
                .collect();
            let [to_x, to_gamma, to_beta] = ops.parents;
            if let Some(node) = to_x {
                grads.register::<Flex>(node.id, grad);
            }
            let mut total = vec![0.0; 2 * width];
            for part in &parts {
                total.iter_mut().zip(part).for_each(|(t, p)| *t += *p);
            }
            let (to_gain, to_shift) = total.split_at(width);
            if let Some(node) = to_gamma {
                grads.register::<Flex>(node.id, array(to_gain.to_vec(), [width]));
            }
            if let Some(node) = to_beta {
                grads.register::<Flex>(node.id, array(to_shift.to_vec(), [width]));
            }
        }
    }

    /// Gradients of some rows, in place of the output's; the gain's and the shift's one after the other.
    #[inline(always)]
    fn rows(grad: &mut [f32], source: &[f32], gain: &[f32], epsilon: f32) -> Vec<f32> {
        let width = gain.len();
        let mut total = vec![0.0; 2 * width];
        let (to_gain, to_shift) = total.split_at_mut(width);
        let share = 1.0 / width as f32;
        let rows = grad.chunks_exact_mut(width);
        for (grad, x) in rows.zip(source.chunks_exact(width)) {
            let (mean, scale) = moments(x, epsilon);
            let sums = to_gain.iter_mut().zip(to_shift.iter_mut());
            for ((g, x), (gain, (to_gain, to_shift))) in
                grad.iter_mut().zip(x).zip(gain.iter().zip(sums))
            {
                *to_gain += *g * ((*x - mean) * scale);
                *to_shift += *g;
                *g *= *gain;
            }
            let level = sum(grad, |g| g) * share;
            let tilt = sum2(grad, x, |g, x| g * ((x - mean) * scale)) * share;
            for (g, x) in grad.iter_mut().zip(x) {
                *g = scale * (*g - level - (*x - mean) * scale * tilt);
            }
        }
        total
    }

    impl<C: CheckpointStrategy> NormBackend for Autodiff<Flex, C> {
        fn row_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            epsilon: f64,
        ) -> FloatTensor<Self> {
            let (source, gain) = (x.primitive().clone(), gamma.primitive().clone());
            let shift = beta.primitive().clone();
            let output = Flex::row_norm(source.clone(), gain.clone(), shift, epsilon);
            let nodes = [x.node(), gamma.node(), beta.node()];
            match RowNorm.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((source, gain, epsilon), output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
