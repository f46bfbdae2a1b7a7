//! Attention of one head at a time, its scores in blocks of queries that stay in the cache.

use rayon::prelude::*;

use super::gemm::matmul;
use super::math::exp;
use super::matrix::{Matrix, transpose};
use super::simd::{max_value, simd_dispatch, sum, sum2};
use super::tensor::alloc_blocks;
use crate::DropoutMask;

/// Queries of a block.
const BLOCK: usize = 64;
/// With fewer queries a transposed copy of the keys is not worthwhile.
const MIN_QUERIES_TO_TRANSPOSE: usize = 8;
/// With fewer scores over all heads, one thread does the work.
const MIN_PARALLEL_SCORES: usize = 1 << 14;

#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) batch: usize,
    pub(crate) n_heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) width: usize,
    /// Batch and rows of the bias: as the scores', or 1.
    pub(crate) bias: [usize; 2],
}

/// Query, key and value `[batch, queries or keys, width]`, bias and dropout.
pub(crate) struct Inputs<'a> {
    pub(crate) query: &'a [f32],
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) dropout: Option<DropoutMask>,
}

impl AttentionShape {
    fn head_width(&self) -> usize {
        self.width / self.n_heads
    }

    /// Factor of the scores.
    fn scale(&self) -> f32 {
        1.0 / (self.head_width() as f32).sqrt()
    }

    /// `f` for every head of every element of the batch.
    fn for_heads<R: Send>(&self, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        let heads = 0..self.batch * self.n_heads;
        if heads.len() * self.queries * self.keys <= MIN_PARALLEL_SCORES {
            heads.map(f).collect()
        } else {
            heads.into_par_iter().map(f).collect()
        }
    }

    /// A head's columns of `[batch, length, width]`, from row `first` on.
    fn head<'a>(&self, x: &'a [f32], head: usize, length: usize, first: usize) -> Matrix<'a> {
        let row = head / self.n_heads * length + first;
        let start = row * self.width + head % self.n_heads * self.head_width();
        Matrix::row_major(&x[start..], self.width)
    }

    /// Joins the heads, each `[length, head_width]`, to `[batch, length, width]`.
    fn join_heads(&self, heads: &[&[f32]], length: usize) -> Vec<f32> {
        let head_width = self.head_width();
        const ROWS: usize = 32;
        alloc_blocks(
            self.batch * length * self.width,
            ROWS * self.width,
            #[inline(always)]
            |block, out| {
                for (i, out) in out.chunks_exact_mut(self.width).enumerate() {
                    let row = block * ROWS + i;
                    let (element, row) = (row / length, row % length);
                    for (head, out) in out.chunks_exact_mut(head_width).enumerate() {
                        let head = heads[element * self.n_heads + head];
                        out.copy_from_slice(&head[row * head_width..(row + 1) * head_width]);
                    }
                }
            },
        )
    }
}

/// A head's keys or values as `[head_width, keys]`: a transposed copy, if there are enough queries to make it worthwhile.
struct TransposedHead<'a> {
    rows: Matrix<'a>,
    copy: Option<Vec<f32>>,
    length: usize,
}

impl<'a> TransposedHead<'a> {
    fn new(shape: &AttentionShape, rows: Matrix<'a>) -> Self {
        let (length, head_width) = (shape.keys, shape.head_width());
        let copy = (shape.queries >= MIN_QUERIES_TO_TRANSPOSE).then(|| {
            let mut copy = vec![0.0; head_width * length];
            transpose::transpose(rows, [length, head_width], &mut copy, length);
            copy
        });
        Self { rows, copy, length }
    }

    fn matrix(&self) -> Matrix<'_> {
        match &self.copy {
            Some(values) => Matrix::row_major(values, self.length),
            None => self.rows.transposed(),
        }
    }
}

impl Inputs<'_> {
    /// Scores of `count` queries from `first` on, scaled and biased.
    fn scores(
        &self,
        shape: &AttentionShape,
        keys: &TransposedHead<'_>,
        head: usize,
        [first, count]: [usize; 2],
        out: &mut [f32],
    ) {
        let query = shape.head(self.query, head, shape.queries, first);
        let matmul_shape = [count, shape.head_width(), shape.keys];
        matmul(matmul_shape, out, shape.keys, false, query, keys.matrix());
        let scale = shape.scale();
        let [bias_batch, bias_rows] = shape.bias;
        simd_dispatch(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(shape.keys).enumerate() {
                    let Some(bias) = self.bias else {
                        for score in out {
                            *score *= scale;
                        }
                        continue;
                    };
                    let element = if bias_batch == 1 {
                        0
                    } else {
                        head / shape.n_heads
                    };
                    let row = if bias_rows == 1 { 0 } else { first + i };
                    let bias = &bias[(element * bias_rows + row) * shape.keys..];
                    for (score, bias) in out.iter_mut().zip(bias) {
                        *score = *score * scale + *bias;
                    }
                }
            },
        );
    }

    /// Applies dropout to the weights (or their gradient) of queries from `first` on.
    #[inline(always)]
    fn apply_dropout(&self, shape: &AttentionShape, head: usize, first: usize, values: &mut [f32]) {
        if let Some(mask) = self.dropout {
            mask.apply_to(values, (head * shape.queries + first) * shape.keys);
        }
    }
}

/// First query and number of queries of each block.
fn query_blocks(shape: &AttentionShape) -> impl Iterator<Item = [usize; 2]> {
    let queries = shape.queries;
    (0..queries)
        .step_by(BLOCK)
        .map(move |first| [first, BLOCK.min(queries - first)])
}

/// The output `[batch, queries, width]`, and for every head and query the logarithm of the sum of exponentials of its
/// scores.
pub(crate) fn forward(shape: &AttentionShape, inputs: &Inputs<'_>) -> (Vec<f32>, Vec<f32>) {
    let (head_width, keys) = (shape.head_width(), shape.keys);
    let heads = shape.for_heads(|head| {
        let mut log_sum_exp = vec![0.0; shape.queries];
        let mut out = vec![0.0; shape.queries * head_width];
        let mut weights = vec![0.0; BLOCK.min(shape.queries) * keys];
        let key = TransposedHead::new(shape, shape.head(inputs.key, head, keys, 0));
        let value = shape.head(inputs.value, head, keys, 0);
        for [first, count] in query_blocks(shape) {
            let weights = &mut weights[..count * keys];
            inputs.scores(shape, &key, head, [first, count], weights);
            simd_dispatch(
                #[inline(always)]
                || {
                    let rows = weights.chunks_exact_mut(keys);
                    for (row, log_sum_exp) in rows.zip(&mut log_sum_exp[first..]) {
                        let max = max_value(row);
                        for x in &mut *row {
                            *x = exp(*x - max);
                        }
                        let total = sum(row, |x| x);
                        let scale = 1.0 / total;
                        for x in row {
                            *x *= scale;
                        }
                        *log_sum_exp = max + total.ln();
                    }
                    inputs.apply_dropout(shape, head, first, weights);
                },
            );
            let weights = Matrix::row_major(weights, keys);
            let out = &mut out[first * head_width..(first + count) * head_width];
            matmul(
                [count, keys, head_width],
                out,
                head_width,
                false,
                weights,
                value,
            );
        }
        (out, log_sum_exp)
    });
    let outputs: Vec<&[f32]> = heads.iter().map(|(out, _)| out.as_slice()).collect();
    let output = shape.join_heads(&outputs, shape.queries);
    let log_sum_exp = heads.into_iter().flat_map(|(_, log_sum_exp)| log_sum_exp);
    (output, log_sum_exp.collect())
}

/// Gradients of query, key and value.
pub(crate) fn backward(
    shape: &AttentionShape,
    inputs: &Inputs<'_>,
    output: &[f32],
    log_sum_exp: &[f32],
    grad_output: &[f32],
) -> [Vec<f32>; 3] {
    let (head_width, keys, scale) = (shape.head_width(), shape.keys, shape.scale());
    let heads = shape.for_heads(|head| {
        let mut grad_query = vec![0.0; shape.queries * head_width];
        let mut grad_key = vec![0.0; keys * head_width];
        let mut grad_value = vec![0.0; keys * head_width];
        let block = BLOCK.min(shape.queries) * keys;
        let (mut weights, mut grad_scores) = (vec![0.0; block], vec![0.0; block]);
        let key = shape.head(inputs.key, head, keys, 0);
        let transposed_key = TransposedHead::new(shape, key);
        let value = shape.head(inputs.value, head, keys, 0);
        let transposed_value = TransposedHead::new(shape, value);
        for [first, count] in query_blocks(shape) {
            let weights = &mut weights[..count * keys];
            let grad_scores = &mut grad_scores[..count * keys];
            let query = shape.head(inputs.query, head, shape.queries, first);
            let grad = shape.head(grad_output, head, shape.queries, first);
            let output = shape.head(output, head, shape.queries, first);
            inputs.scores(shape, &transposed_key, head, [first, count], weights);
            // The gradient of the weights first.
            let grad_shape = [count, head_width, keys];
            let right = transposed_value.matrix();
            matmul(grad_shape, grad_scores, keys, false, grad, right);
            simd_dispatch(
                #[inline(always)]
                || {
                    inputs.apply_dropout(shape, head, first, grad_scores);
                    let log_sum_exp = &log_sum_exp[head * shape.queries + first..];
                    let rows = weights
                        .chunks_exact_mut(keys)
                        .zip(grad_scores.chunks_exact_mut(keys));
                    for (i, ((weights, grads), log_sum_exp)) in rows.zip(log_sum_exp).enumerate() {
                        let [grad, output] = [grad, output]
                            .map(|matrix| &matrix.values[i * matrix.row_stride..][..head_width]);
                        // Equals the sum of weights times their gradients.
                        let mean = sum2(grad, output, |grad, output| grad * output);
                        for (weight, grad) in weights.iter_mut().zip(grads) {
                            *weight = exp(*weight - *log_sum_exp);
                            *grad = *weight * (*grad - mean) * scale;
                        }
                    }
                    inputs.apply_dropout(shape, head, first, weights);
                },
            );
            let weights = Matrix::row_major(weights, keys);
            let grad_scores = Matrix::row_major(grad_scores, keys);
            let out = &mut grad_query[first * head_width..(first + count) * head_width];
            matmul(
                [count, keys, head_width],
                out,
                head_width,
                false,
                grad_scores,
                key,
            );
            let (add, key_shape) = (first > 0, [keys, count, head_width]);
            let left = grad_scores.transposed();
            matmul(key_shape, &mut grad_key, head_width, add, left, query);
            let left = weights.transposed();
            matmul(key_shape, &mut grad_value, head_width, add, left, grad);
        }
        [grad_query, grad_key, grad_value]
    });
    let join = |input: usize, length: usize| {
        let heads: Vec<&[f32]> = heads.iter().map(|grads| grads[input].as_slice()).collect();
        shape.join_heads(&heads, length)
    };
    [join(0, shape.queries), join(1, keys), join(2, keys)]
}
