//! A frozen norm with the shortcut and ReLU that follow it in a residual network: scale, shift, shortcut and ReLU in
//! one pass.
//!
//! Needed as long as burn's CPU backend runs each of the four as a separate pass on one thread.

use burn::prelude::*;

use crate::Affine;
use crate::composed::affine as composed;

/// Applies [`Affine`]. Activations of 16 bits on a GPU are computed in f32 and rounded once.
///
/// # Shapes
/// - `x`: `[batch, channels, h, w]`
/// - output: `[batch, channels, h, w]`, of the type of `x`
pub fn affine(x: Tensor<4>, affine: Affine) -> Tensor<4> {
    cpu_path! {
        if crate::dispatch::takes_fast_path(&x) && affine.takes_fast_path(x.dims()) {
            return crate::autodiff::affine::affine(x, affine);
        }
    }
    gpu_path! {
        if crate::precision::is_half(x.dtype()) {
            return crate::custom_grad::affine::affine(x, affine);
        }
    }
    composed::affine(x, affine)
}
