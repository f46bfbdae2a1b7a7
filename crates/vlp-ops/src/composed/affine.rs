//! Scale, shift, shortcut and ReLU of burn's operations.

use burn::prelude::*;
use burn::tensor::activation;

use crate::Affine;

/// [`affine`](crate::affine()) of tensors of one type.
pub(crate) fn affine(x: Tensor<4>, affine: Affine) -> Tensor<4> {
    let Affine {
        scale,
        shift,
        shortcut,
        relu,
    } = affine;
    // Both are reshaped first: a GPU fuses the operations that follow each other into one kernel.
    let [scale, shift] = [scale, shift].map(by_channel);
    let y = x * scale + shift;
    let y = match shortcut {
        Some(shortcut) => y + shortcut,
        None => y,
    };
    if relu { activation::relu(y) } else { y }
}

/// `[channels]` as a factor of an image.
pub(crate) fn by_channel(line: Tensor<1>) -> Tensor<4> {
    line.reshape([1, -1, 1, 1])
}
