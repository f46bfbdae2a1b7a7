//! Log-probability of one class a row, its gradient in one pass.
//!
//! Needed as long as burn composes it of a log-softmax and a gather, whose gradients are matrices of their own.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;

/// `log softmax(logits)` at one class of every row: `logits` `[rows, classes]`, a class below their number a row, to
/// `[rows]`.
pub fn log_prob(logits: Tensor<2>, classes: &[i32]) -> Tensor<1> {
    #[cfg(feature = "flex")]
    {
        let [rows, width] = logits.dims();
        let inside = classes.iter().all(|&c| c >= 0 && (c as usize) < width);
        if classes.len() == rows && inside && crate::route::fast(&logits) {
            return fast::log_prob(logits, classes);
        }
    }
    let classes: Tensor<1, Int> = Tensor::from_ints(classes, &logits.device());
    log_softmax(logits, 1)
        .gather(1, classes.unsqueeze_dim(1))
        .squeeze_dim(1)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, exp, greatest, made, sum, task_rows, values, wide};

    #[backend_extension(Flex, Autodiff)]
    trait LogProbBackend: Backend {
        fn class_log_prob(logits: FloatTensor<Self>, classes: Vec<i32>) -> FloatTensor<Self>;
    }

    pub(super) fn log_prob(logits: Tensor<2>, classes: &[i32]) -> Tensor<1> {
        let (logits, classes) = (logits.into_dispatch(), classes.to_vec());
        Tensor::from_dispatch(<Dispatch as LogProbBackend>::class_log_prob(
            logits, classes,
        ))
    }

    /// The logarithm of the sum of exponentials of every row.
    fn levels(source: &[f32], width: usize) -> Vec<f32> {
        let level = |row: &[f32]| {
            wide(
                #[inline(always)]
                || {
                    let top = greatest(row);
                    // A row of -inf alone has no distribution: NaN, as in burn's.
                    top + sum(row, |x| exp(x - top)).ln()
                },
            )
        };
        source
            .par_chunks_exact(width)
            .with_min_len(task_rows(width))
            .map(level)
            .collect()
    }

    fn chosen(source: &[f32], width: usize, classes: &[i32], levels: &[f32]) -> Vec<f32> {
        let rows = source.chunks_exact(width).zip(classes).zip(levels);
        rows.map(|((row, class), level)| row[*class as usize] - level)
            .collect()
    }

    impl LogProbBackend for Flex {
        fn class_log_prob(logits: Array, classes: Vec<i32>) -> Array {
            let logits = dense(&logits);
            let [rows, width] = logits.shape().dims();
            let source = values(&logits);
            let levels = levels(source, width);
            array(chosen(source, width, &classes, &levels), [rows])
        }
    }

    #[derive(Debug)]
    struct ClassLogProb;

    #[derive(Debug, Clone)]
    struct Kept {
        logits: Array,
        classes: Vec<i32>,
        levels: Vec<f32>,
    }

    impl Backward<Flex, 1> for ClassLogProb {
        type State = Kept;

        fn backward(self, ops: Ops<Kept, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = dense(&grads.consume::<Flex>(&ops.node));
            let [Some(node)] = ops.parents else { return };
            let kept = ops.state;
            let (slope, source) = (values(&grad), values(&kept.logits));
            let [rows, width] = kept.logits.shape().dims();
            let many = task_rows(width);
            let out = made(
                rows * width,
                many * width,
                #[inline(always)]
                |i, out| {
                    let places = i * many..rows.min((i + 1) * many);
                    for (out, row) in out.chunks_exact_mut(width).zip(places) {
                        let (g, level) = (slope[row], kept.levels[row]);
                        let source = &source[row * width..(row + 1) * width];
                        for (out, x) in out.iter_mut().zip(source) {
                            *out = -g * exp(*x - level);
                        }
                        out[kept.classes[row] as usize] += g;
                    }
                },
            );
            grads.register::<Flex>(node.id, array(out, [rows, width]));
        }
    }

    impl<C: CheckpointStrategy> LogProbBackend for Autodiff<Flex, C> {
        fn class_log_prob(logits: FloatTensor<Self>, classes: Vec<i32>) -> FloatTensor<Self> {
            let source = dense(logits.primitive());
            let [rows, width] = source.shape().dims();
            let levels = levels(values(&source), width);
            let output = array(chosen(values(&source), width, &classes, &levels), [rows]);
            let nodes = [logits.node()];
            match ClassLogProb.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let kept = Kept {
                        logits: source,
                        classes,
                        levels,
                    };
                    prep.finish(kept, output)
                }
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
