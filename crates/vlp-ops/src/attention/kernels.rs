//! Attention of one head at a time, its scores in blocks of queries that stay in the cache.

use rayon::prelude::*;

use crate::Drops;
use crate::flex::{exp, greatest, made, sum, sum2, wide};
use crate::matrix::{Matrix, product};
use crate::square;

/// Queries of a block.
const BLOCK: usize = 64;
/// Fewer queries than these do not pay for turning the keys.
const FEW: usize = 8;
/// Fewer scores than these, of all heads, are one thread's work.
const SMALL: usize = 1 << 14;

#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) width: usize,
    /// Batch and rows of the bias: all, or 1.
    pub(super) bias: [usize; 2],
}

/// `[batch, queries or keys, width]`, and what changes scores and weights.
pub(super) struct Inputs<'a> {
    pub(super) query: &'a [f32],
    pub(super) key: &'a [f32],
    pub(super) value: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) drops: Option<Drops>,
}

impl Sizes {
    /// Width of a head.
    fn inner(&self) -> usize {
        self.width / self.heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.inner() as f32).sqrt()
    }

    /// `f` for every head of every element of the batch.
    fn each<R: Send>(&self, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        let heads = 0..self.batch * self.heads;
        if heads.len() * self.queries * self.keys <= SMALL {
            heads.map(f).collect()
        } else {
            heads.into_par_iter().map(f).collect()
        }
    }

    /// A head's part of `[batch, length, width]` from row `first` on, a matrix of rows.
    fn part<'a>(&self, x: &'a [f32], head: usize, length: usize, first: usize) -> Matrix<'a> {
        let row = head / self.heads * length + first;
        let start = row * self.width + head % self.heads * self.inner();
        Matrix::of_rows(&x[start..], self.width)
    }

    /// Parts of all heads, each `[length, inner]`, as `[batch, length, width]`.
    fn join(&self, parts: &[&[f32]], length: usize) -> Vec<f32> {
        let (inner, heads) = (self.inner(), self.heads);
        const ROWS: usize = 32;
        made(
            self.batch * length * self.width,
            ROWS * self.width,
            #[inline(always)]
            |i, out| {
                for (row, out) in out.chunks_exact_mut(self.width).enumerate() {
                    let (image, at) = ((i * ROWS + row) / length, (i * ROWS + row) % length);
                    for (head, out) in out.chunks_exact_mut(inner).enumerate() {
                        let part = parts[image * heads + head];
                        out.copy_from_slice(&part[at * inner..(at + 1) * inner]);
                    }
                }
            },
        )
    }
}

/// A head's rows as `[inner, length]`.
fn turned(sizes: &Sizes, rows: Matrix<'_>, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; sizes.inner() * length];
    square::turn(rows, [length, sizes.inner()], &mut out, length);
    out
}

/// Keys or values of a head, turned where that pays.
struct Turned<'a> {
    rows: Matrix<'a>,
    copy: Option<Vec<f32>>,
    length: usize,
}

impl<'a> Turned<'a> {
    fn new(sizes: &Sizes, rows: Matrix<'a>) -> Self {
        let many = sizes.queries >= FEW;
        Self {
            rows,
            copy: many.then(|| turned(sizes, rows, sizes.keys)),
            length: sizes.keys,
        }
    }

    fn matrix(&self) -> Matrix<'_> {
        match &self.copy {
            Some(values) => Matrix::of_rows(values, self.length),
            None => self.rows.turned(),
        }
    }
}

impl Inputs<'_> {
    /// Scores of `count` queries from `first` on, scaled and biased.
    fn scores(
        &self,
        sizes: &Sizes,
        keys: &Turned<'_>,
        head: usize,
        [first, count]: [usize; 2],
        out: &mut [f32],
    ) {
        let query = sizes.part(self.query, head, sizes.queries, first);
        let shape = [count, sizes.inner(), sizes.keys];
        product(shape, out, sizes.keys, false, query, keys.matrix());
        let scale = sizes.scale();
        let [images, rows] = sizes.bias;
        wide(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(sizes.keys).enumerate() {
                    let Some(bias) = self.bias else {
                        for score in out {
                            *score *= scale;
                        }
                        continue;
                    };
                    let image = if images == 1 { 0 } else { head / sizes.heads };
                    let row = if rows == 1 { 0 } else { first + i };
                    let bias = &bias[(image * rows + row) * sizes.keys..];
                    for (score, bias) in out.iter_mut().zip(bias) {
                        *score = *score * scale + *bias;
                    }
                }
            },
        );
    }

    /// Drops what falls out of the weights (or their gradient) of queries from `first` on.
    #[inline(always)]
    fn drop(&self, sizes: &Sizes, head: usize, first: usize, values: &mut [f32]) {
        if let Some(drops) = self.drops {
            drops.apply(values, (head * sizes.queries + first) * sizes.keys);
        }
    }
}

fn spans(sizes: &Sizes) -> impl Iterator<Item = [usize; 2]> {
    let queries = sizes.queries;
    (0..queries)
        .step_by(BLOCK)
        .map(move |first| [first, BLOCK.min(queries - first)])
}

/// `[batch, queries, width]`, and of every head and query the logarithm of the sum of exponentials of its scores.
pub(super) fn forward(sizes: &Sizes, inputs: &Inputs<'_>) -> (Vec<f32>, Vec<f32>) {
    let (inner, keys) = (sizes.inner(), sizes.keys);
    let parts = sizes.each(|head| {
        let mut levels = vec![0.0; sizes.queries];
        let mut out = vec![0.0; sizes.queries * inner];
        let mut weights = vec![0.0; BLOCK.min(sizes.queries) * keys];
        let turned = Turned::new(sizes, sizes.part(inputs.key, head, keys, 0));
        let value = sizes.part(inputs.value, head, keys, 0);
        for [first, count] in spans(sizes) {
            let weights = &mut weights[..count * keys];
            inputs.scores(sizes, &turned, head, [first, count], weights);
            wide(
                #[inline(always)]
                || {
                    for (row, level) in weights.chunks_exact_mut(keys).zip(&mut levels[first..]) {
                        let top = greatest(row);
                        for x in &mut *row {
                            *x = exp(*x - top);
                        }
                        let total = sum(row, |x| x);
                        let scale = 1.0 / total;
                        for x in row {
                            *x *= scale;
                        }
                        *level = top + total.ln();
                    }
                    inputs.drop(sizes, head, first, weights);
                },
            );
            let rows = Matrix::of_rows(weights, keys);
            let out = &mut out[first * inner..(first + count) * inner];
            product([count, keys, inner], out, inner, false, rows, value);
        }
        (out, levels)
    });
    let outs: Vec<&[f32]> = parts.iter().map(|(out, _)| out.as_slice()).collect();
    let joined = sizes.join(&outs, sizes.queries);
    let levels = parts.into_iter().flat_map(|(_, levels)| levels).collect();
    (joined, levels)
}

/// Gradients of query, key and value.
pub(super) fn backward(
    sizes: &Sizes,
    inputs: &Inputs<'_>,
    output: &[f32],
    levels: &[f32],
    grad: &[f32],
) -> [Vec<f32>; 3] {
    let (inner, keys, scale) = (sizes.inner(), sizes.keys, sizes.scale());
    let parts = sizes.each(|head| {
        let mut to_query = vec![0.0; sizes.queries * inner];
        let mut to_key = vec![0.0; keys * inner];
        let mut to_value = vec![0.0; keys * inner];
        let size = BLOCK.min(sizes.queries) * keys;
        let (mut weights, mut slopes) = (vec![0.0; size], vec![0.0; size]);
        let key = sizes.part(inputs.key, head, keys, 0);
        let turned_key = Turned::new(sizes, key);
        let turned_value = Turned::new(sizes, sizes.part(inputs.value, head, keys, 0));
        for [first, count] in spans(sizes) {
            let weights = &mut weights[..count * keys];
            let slopes = &mut slopes[..count * keys];
            let query = sizes.part(inputs.query, head, sizes.queries, first);
            let grad = sizes.part(grad, head, sizes.queries, first);
            let output = sizes.part(output, head, sizes.queries, first);
            inputs.scores(sizes, &turned_key, head, [first, count], weights);
            let shape = [count, inner, keys];
            product(shape, slopes, keys, false, grad, turned_value.matrix());
            wide(
                #[inline(always)]
                || {
                    inputs.drop(sizes, head, first, slopes);
                    let levels = &levels[head * sizes.queries + first..];
                    let rows = weights
                        .chunks_exact_mut(keys)
                        .zip(slopes.chunks_exact_mut(keys));
                    for (i, ((weights, slopes), level)) in rows.zip(levels).enumerate() {
                        let [grad, output] = [grad, output]
                            .map(|matrix| &matrix.values[i * matrix.row_stride..][..inner]);
                        // Equals the sum of weights times slopes.
                        let mean = sum2(grad, output, |g, o| g * o);
                        for (weight, slope) in weights.iter_mut().zip(slopes) {
                            *weight = exp(*weight - *level);
                            *slope = *weight * (*slope - mean) * scale;
                        }
                    }
                    inputs.drop(sizes, head, first, weights);
                },
            );
            let (weights, slopes) = (
                Matrix::of_rows(weights, keys),
                Matrix::of_rows(slopes, keys),
            );
            let out = &mut to_query[first * inner..(first + count) * inner];
            product([count, keys, inner], out, inner, false, slopes, key);
            let (add, shape) = (first > 0, [keys, count, inner]);
            product(shape, &mut to_key, inner, add, slopes.turned(), query);
            product(shape, &mut to_value, inner, add, weights.turned(), grad);
        }
        [to_query, to_key, to_value]
    });
    let joined = |which: usize, length: usize| {
        let parts: Vec<&[f32]> = parts.iter().map(|part| part[which].as_slice()).collect();
        sizes.join(&parts, length)
    };
    [joined(0, sizes.queries), joined(1, keys), joined(2, keys)]
}
