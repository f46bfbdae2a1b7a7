//! The distribution function of the normal distribution.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::prelude::*;

/// `Phi(x)`.
pub(crate) fn normal_cdf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.mul_scalar(FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        .mul_scalar(0.5)
}
