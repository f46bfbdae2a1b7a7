//! Dropout (Srivastava et al. 2014) by a hash of each value's index: no random numbers one by one, and no mask stored for the
//! backward pass.
//!
//! Needed as long as burn draws a mask value by value on one thread of the CPU, and on a GPU by a kernel of its own.

use burn::nn::Dropout;
use burn::prelude::*;

use crate::DropoutMask;

/// burn's dropout layer: in training each value is set to zero with probability `prob`, and the others are multiplied by
/// `1 / (1 - prob)`.
///
/// # Shapes
/// - `x`, output: any shape
pub fn dropout<const D: usize>(layer: &Dropout, x: Tensor<D>) -> Tensor<D> {
    match DropoutMask::sample(layer, &x.device()) {
        Some(mask) => apply(x, mask),
        None => x,
    }
}

/// `x` times the factors of the mask.
pub(crate) fn apply<const D: usize>(x: Tensor<D>, mask: DropoutMask) -> Tensor<D> {
    cpu_path! {
        if crate::dispatch::takes_fast_path(&x) {
            return crate::autodiff::dropout::dropout(x, mask);
        }
    }
    gpu_path! {
        use crate::custom_grad::dropout::dropout;
        if let Some(y) = dropout::<burn::backend::Cube, D>(&x, mask) {
            return y;
        }
    }
    mask.apply(x)
}
