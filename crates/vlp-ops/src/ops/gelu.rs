//! GELU with the exact error function (Hendrycks & Gimpel 2016).
//!
//! Needed as long as burn's CPU backend runs element-wise functions value by value on one thread, and its gradient is that
//! of the tanh approximation, off by 4e-4.

use burn::prelude::*;

use crate::composed::gelu::normal_cdf;

/// `x Phi(x)`, where `Phi` is the cumulative distribution function of the standard normal distribution.
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
