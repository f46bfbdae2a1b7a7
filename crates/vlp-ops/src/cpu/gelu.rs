//! GELU and its gradient.

use super::math::{erf, exp};
use super::tensor::{CHUNK_LEN, alloc_blocks, for_blocks};

/// `Phi(x)`, the distribution function of the normal distribution.
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `x Phi(x)`.
pub(crate) fn gelu(x: &[f32]) -> Vec<f32> {
    alloc_blocks(
        x.len(),
        CHUNK_LEN,
        #[inline(always)]
        |i, out| {
            for (out, x) in out.iter_mut().zip(&x[i * CHUNK_LEN..]) {
                *out = *x * normal_cdf(*x);
            }
        },
    )
}

/// Multiplies `grad` by the derivative at `x`.
pub(crate) fn gelu_backward(x: &[f32], grad: &mut [f32]) {
    for_blocks(
        grad,
        CHUNK_LEN,
        #[inline(always)]
        |i, grad| {
            for (grad, x) in grad.iter_mut().zip(&x[i * CHUNK_LEN..]) {
                // 1 / sqrt(2 pi) * exp(-x^2 / 2).
                let density = 0.398_942_3 * exp(-0.5 * *x * *x);
                *grad *= normal_cdf(*x) + *x * density;
            }
        },
    );
}
