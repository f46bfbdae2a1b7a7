//! Softmax of rows and its gradient.

use super::math::exp;
use super::simd::{max_value, sum, sum2};
use super::tensor::{alloc_blocks, for_blocks, rows_per_chunk};

/// Softmax of each row of `width` values.
pub(crate) fn softmax(x: &[f32], width: usize) -> Vec<f32> {
    let block = rows_per_chunk(width) * width;
    alloc_blocks(
        x.len(),
        block,
        #[inline(always)]
        |i, out| {
            let rows = x[i * block..].chunks_exact(width);
            for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                let max = max_value(row);
                for (out, x) in out.iter_mut().zip(row) {
                    *out = exp(*x - max);
                }
                let scale = 1.0 / sum(out, |y| y);
                // In a row of -inf alone `x - max` is NaN, which `exp` keeps.
                for out in out {
                    *out *= scale;
                }
            }
        },
    )
}

/// The input's gradient in place of the output's, from the softmax `y`.
pub(crate) fn softmax_backward(y: &[f32], width: usize, grad: &mut [f32]) {
    let block = rows_per_chunk(width) * width;
    for_blocks(
        grad,
        block,
        #[inline(always)]
        |i, grad| {
            let rows = y[i * block..].chunks_exact(width);
            for (grad, y) in grad.chunks_exact_mut(width).zip(rows) {
                let mean = sum2(y, grad, |y, grad| y * grad);
                for (grad, y) in grad.iter_mut().zip(y) {
                    *grad = *y * (*grad - mean);
                }
            }
        },
    );
}
