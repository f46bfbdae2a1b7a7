//! Gradient of layer norm.

use rayon::prelude::*;

use super::simd::{simd_dispatch, sum, sum2};
use super::tensor::rows_per_chunk;

/// The input's gradient in place of the output's; returns the gradients of `gamma` and `beta`.
pub(crate) fn layer_norm_backward(
    x: &[f32],
    gamma: &[f32],
    epsilon: f32,
    grad: &mut [f32],
) -> [Vec<f32>; 2] {
    let width = gamma.len();
    let block = rows_per_chunk(width) * width;
    // Each task sums the gradients of gamma and beta over its rows.
    let partial_sums: Vec<Vec<f32>> = grad
        .par_chunks_mut(block)
        .enumerate()
        .map(|(i, grad)| {
            let x = &x[i * block..];
            simd_dispatch(
                #[inline(always)]
                || rows_backward(grad, x, gamma, epsilon),
            )
        })
        .collect();
    let mut total = vec![0.0; 2 * width];
    for partial in &partial_sums {
        total.iter_mut().zip(partial).for_each(|(t, p)| *t += *p);
    }
    let grad_beta = total.split_off(width);
    [total, grad_beta]
}

/// Gradients of some rows in place of the output's; those of gamma and beta one after the other.
#[inline(always)]
fn rows_backward(grad: &mut [f32], x: &[f32], gamma: &[f32], epsilon: f32) -> Vec<f32> {
    let width = gamma.len();
    let mut total = vec![0.0; 2 * width];
    let (grad_gamma, grad_beta) = total.split_at_mut(width);
    let scale_of_sum = 1.0 / width as f32;
    let rows = grad.chunks_exact_mut(width);
    for (grad, x) in rows.zip(x.chunks_exact(width)) {
        let (mean, scale) = moments(x, epsilon);
        let sums = grad_gamma.iter_mut().zip(grad_beta.iter_mut());
        for ((g, x), (gamma, (grad_gamma, grad_beta))) in
            grad.iter_mut().zip(x).zip(gamma.iter().zip(sums))
        {
            *grad_gamma += *g * ((*x - mean) * scale);
            *grad_beta += *g;
            *g *= *gamma;
        }
        let mean_dy = sum(grad, |g| g) * scale_of_sum;
        let mean_dy_xhat = sum2(grad, x, |g, x| g * ((x - mean) * scale)) * scale_of_sum;
        for (g, x) in grad.iter_mut().zip(x) {
            *g = scale * (*g - mean_dy - (*x - mean) * scale * mean_dy_xhat);
        }
    }
    total
}

/// Mean of a row, and the reciprocal of its standard deviation.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let scale = 1.0 / row.len() as f32;
    let mean = sum(row, |x| x) * scale;
    let variance = sum(row, |x| (x - mean) * (x - mean)) * scale;
    (mean, 1.0 / (variance + epsilon).sqrt())
}
