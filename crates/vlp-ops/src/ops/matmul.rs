//! Products of matrices in the precision that is set.
//!
//! Needed as long as burn has no setting for the precision of products on a GPU.

use burn::prelude::*;

/// The matrix product of `lhs` and `rhs`: on a GPU in the precision of [`set_matmul_precision`](crate::set_matmul_precision),
/// on the CPU always in f32, unlike [`linear`](crate::linear).
///
/// # Shapes
/// - `lhs`: `[.., rows, depth]`
/// - `rhs`: `[.., depth, columns]`
/// - output: `[.., rows, columns]`
pub fn matmul<const D: usize>(lhs: Tensor<D>, rhs: Tensor<D>) -> Tensor<D> {
    gpu_path! {
        if let Some(product) = crate::custom_grad::matmul::matmul(&lhs, &rhs) {
            return product;
        }
    }
    lhs.matmul(rhs)
}

/// [`matmul`] in f32 whatever precision is set, for searches: rounding could change what they find.
///
/// # Shapes
/// As [`matmul`].
pub fn f32_matmul<const D: usize>(lhs: Tensor<D>, rhs: Tensor<D>) -> Tensor<D> {
    gpu_path! {
        if let Some(product) = crate::custom_grad::matmul::f32_matmul(&lhs, &rhs) {
            return product;
        }
    }
    lhs.matmul(rhs)
}
