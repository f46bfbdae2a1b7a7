//! Log-probability of one class per row and its gradient.

use rayon::prelude::*;

use super::math::exp;
use super::simd::{max_value, simd_dispatch, sum};
use super::tensor::{alloc_blocks, rows_per_chunk};

/// The logarithm of the sum of exponentials of each row of `width` logits.
pub(crate) fn log_sum_exp(logits: &[f32], width: usize) -> Vec<f32> {
    let log_sum_exp = |row: &[f32]| {
        simd_dispatch(
            #[inline(always)]
            || {
                let max = max_value(row);
                // A row of -inf alone has no distribution: NaN, as in burn.
                max + sum(row, |x| exp(x - max)).ln()
            },
        )
    };
    logits
        .par_chunks_exact(width)
        .with_min_len(rows_per_chunk(width))
        .map(log_sum_exp)
        .collect()
}

/// The log-probability of each row's class.
pub(crate) fn class_log_probs(
    logits: &[f32],
    width: usize,
    classes: &[i32],
    log_sum_exp: &[f32],
) -> Vec<f32> {
    let rows = logits.chunks_exact(width).zip(classes).zip(log_sum_exp);
    rows.map(|((row, class), log_sum_exp)| row[*class as usize] - log_sum_exp)
        .collect()
}

/// Gradient of the logits.
pub(crate) fn log_prob_backward(
    logits: &[f32],
    width: usize,
    classes: &[i32],
    log_sum_exp: &[f32],
    grad_output: &[f32],
) -> Vec<f32> {
    let (rows, chunk) = (classes.len(), rows_per_chunk(width));
    alloc_blocks(
        rows * width,
        chunk * width,
        #[inline(always)]
        |i, out| {
            let rows = i * chunk..rows.min((i + 1) * chunk);
            for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                let (grad, log_sum_exp) = (grad_output[row], log_sum_exp[row]);
                let logits = &logits[row * width..(row + 1) * width];
                for (out, x) in out.iter_mut().zip(logits) {
                    *out = -grad * exp(*x - log_sum_exp);
                }
                out[classes[row] as usize] += grad;
            }
        },
    )
}
