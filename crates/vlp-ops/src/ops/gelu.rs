//! GELU with the exact error function (Hendrycks & Gimpel 2016).
//!
//! Needed as long as burn's CPU backend runs element-wise functions value by value on one thread, and its gradient is that
//! of the tanh approximation, off by 4e-4.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::prelude::*;

/// `x Phi(x)`, where `Phi` is the distribution function of the normal distribution.
///
/// # Shapes
/// - `x`, output: any shape
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    cpu_path! {
        if crate::dispatch::takes_fast_path(&x) {
            return crate::autodiff::gelu::gelu(x);
        }
    }
    gpu_path! {
        if let Some(y) = crate::custom_grad::gelu::gelu::<burn::backend::Cube, D>(&x) {
            return y;
        }
    }
    x.clone() * normal_cdf(x)
}

/// `Phi(x)`.
pub(crate) fn normal_cdf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.mul_scalar(FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        .mul_scalar(0.5)
}
