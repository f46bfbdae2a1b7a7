//! Layer norm over the last axis (Ba et al. 2016), forward and backward in two passes each.
//!
//! Needed as long as burn composes the gradient from element-wise operations.

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
    burn::tensor::module::layer_norm(x, gamma, Some(beta), epsilon)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use crate::flex::tape::*;
    use crate::flex::{Array, array, blocks, dense, sum, task_rows, values, wide};

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
        let mean = sum(|i| row[i], row.len()) * scale;
        let variance = sum(|i| (row[i] - mean) * (row[i] - mean), row.len()) * scale;
        (mean, 1.0 / (variance + epsilon).sqrt())
    }

    impl NormBackend for Flex {
        fn row_norm(x: Array, gamma: Array, beta: Array, epsilon: f64) -> Array {
            let (x, gamma, beta) = (dense(&x), dense(&gamma), dense(&beta));
            let (source, gain, shift) = (values(&x), values(&gamma), values(&beta));
            let width = gain.len();
            let block = task_rows(width) * width;
            let mut out = vec![0.0; source.len()];
            blocks(&mut out, block, |i, out| {
                let rows = source[i * block..].chunks_exact(width);
                for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                    let (mean, scale) = moments(row, epsilon as f32);
                    for (((out, x), gain), shift) in out.iter_mut().zip(row).zip(gain).zip(shift) {
                        *out = (*x - mean) * scale * *gain + *shift;
                    }
                }
            });
            array(out, x.shape())
        }
    }

    #[derive(Debug)]
    struct RowNorm;

    impl Backward<Flex, 3> for RowNorm {
        type State = (Array, Array, f64);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = dense(&grads.consume::<Flex>(&ops.node));
            let (x, gamma, epsilon) = ops.state;
            let (x, gamma) = (dense(&x), dense(&gamma));
            let (source, slope, gain) = (values(&x), values(&grad), values(&gamma));
            let width = gain.len();
            let block = task_rows(width) * width;
            let mut out = vec![0.0; source.len()];
            // Every task sums the gain's and the shift's gradients over its rows.
            let parts: Vec<Vec<f32>> = out
                .par_chunks_mut(block)
                .enumerate()
                .map(|(i, out)| {
                    let at = i * block;
                    let (source, slope) = (&source[at..], &slope[at..]);
                    wide(|| rows(out, source, slope, gain, epsilon as f32))
                })
                .collect();
            let [to_x, to_gamma, to_beta] = ops.parents;
            if let Some(node) = to_x {
                grads.register::<Flex>(node.id, array(out, x.shape()));
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

    /// Gradients of some rows; the gain's and the shift's one after the other.
    #[inline(always)]
    fn rows(out: &mut [f32], source: &[f32], slope: &[f32], gain: &[f32], epsilon: f32) -> Vec<f32> {
        let width = gain.len();
        let mut total = vec![0.0; 2 * width];
        let (to_gain, to_shift) = total.split_at_mut(width);
        let share = 1.0 / width as f32;
        let rows = source.chunks_exact(width).zip(slope.chunks_exact(width));
        for (out, (x, g)) in out.chunks_exact_mut(width).zip(rows) {
            let (mean, scale) = moments(x, epsilon);
            let level = sum(|i| g[i] * gain[i], width) * share;
            let tilt = sum(|i| g[i] * gain[i] * ((x[i] - mean) * scale), width) * share;
            for i in 0..width {
                let unit = (x[i] - mean) * scale;
                out[i] = scale * (g[i] * gain[i] - level - unit * tilt);
                to_gain[i] += g[i] * unit;
                to_shift[i] += g[i];
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
