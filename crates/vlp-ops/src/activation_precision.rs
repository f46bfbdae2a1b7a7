//! The type of activations between layers.
//!
//! Needed as long as burn has no mixed precision of its own.

use burn::prelude::*;
use burn::tensor::DType;

use crate::precision::is_half;

/// `x` rounded to bf16 if [`MatmulPrecision::Bf16`](crate::MatmulPrecision::Bf16) is set for its GPU, otherwise `x`. The layers
/// of a convolutional network keep the type: [`conv2d`](crate::conv2d()), [`affine`](crate::affine()),
/// [`batch_norm`](crate::batch_norm()), [`max_pool2d`](crate::max_pool2d()).
///
/// # Shapes
/// - `x`, output: any shape
pub fn to_activation_precision<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    gpu_path! {
        let half = crate::precision::half_type();
        let half = half.filter(|_| x.dtype() == DType::F32 && !crate::is_cpu(&x.device()));
        if let Some(half) = half {
            return x.cast(half);
        }
    }
    x
}

/// `x`, in f32 if it is of 16 bits.
///
/// # Shapes
/// - `x`, output: any shape
pub fn from_activation_precision<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_half(x.dtype()) {
        x.cast(DType::F32)
    } else {
        x
    }
}
