//! Softmax over the last axis, its gradient in one pass.
//!
//! Needed as long as burn composes the gradient from five element-wise operations.

use burn::prelude::*;

/// Softmax over the last axis. A row of `-inf` alone gives NaN.
///
/// # Shapes
/// - `x`, output: any shape
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    cpu_path! {
        if crate::dispatch::takes_fast_path(&x) {
            return crate::autodiff::softmax::softmax(x);
        }
    }
    burn::tensor::activation::softmax(x, D - 1)
}
