//! Convolution of images: sums over taps of vectors of positions, or of outputs for the weight's gradient; by Winograd's
//! algorithm where 3x3 kernels move by one place over a large map, for both gradients and for outputs without autodiff; in bf16 by
//! tiles, where the processor has them (AMX); by products of columns between small maps, in bf16 elsewhere, and for some gradients
//! of inputs at larger steps.
//!
//! Source: Lavin & Gray (2015); im2col as in Caffe (Jia et al. 2014). Needed as long as burn's CPU backend has no backward
//! pass of its own for convolutions: it composes them from a convolution with the whole output as kernel and a transposed
//! one.

#[cfg(feature = "flex")]
mod collect;
#[cfg(feature = "flex")]
mod columns;
#[cfg(feature = "flex")]
mod direct;
#[cfg(feature = "flex")]
mod fast;
#[cfg(feature = "flex")]
mod finished;
#[cfg(feature = "flex")]
mod forward;
#[cfg(feature = "flex")]
mod gradients;
#[cfg(feature = "flex")]
mod kernels;
#[cfg(feature = "flex")]
mod padded;
#[cfg(feature = "flex")]
mod rows;
#[cfg(feature = "flex")]
mod sizes;
#[cfg(feature = "flex")]
mod steps;
#[cfg(feature = "flex")]
mod tiles;
#[cfg(feature = "flex")]
mod weight;
#[cfg(feature = "flex")]
mod winograd;

use burn::prelude::*;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;

use crate::{Affine, Window, affine};

/// Convolution without bias: `x` `[batch, in, h, w]`, `weight` `[out, in, rows, columns]`, to
/// `[batch, out, positions of the window]`.
///
/// On the CPU outputs with and without autodiff may differ by rounding, and a value that is infinite or no number may
/// reach a neighbour of the outputs (or gradients) whose window holds it.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if fits(&x, &weight, window).is_some() {
        return fast::conv2d(x, weight, window);
    }
    let Window {
        stride,
        padding,
        dilation,
    } = window;
    module::conv2d(
        x,
        weight,
        None,
        ConvOptions::new(stride, padding, dilation, 1),
    )
}

/// [`affine`](crate::affine()) of [`conv2d`], the same values; on the CPU without a pass of its own where scale and shift are
/// frozen.
pub fn conv2d_affine(x: Tensor<4>, weight: Tensor<4>, window: Window, after: Affine) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if fits(&x, &weight, window).is_some_and(|shape| after.fits(shape)) {
        return finished::conv2d_affine(x, weight, window, after);
    }
    affine(conv2d(x, weight, window), after)
}

/// The output's shape, where the fast path holds.
#[cfg(feature = "flex")]
fn fits(x: &Tensor<4>, weight: &Tensor<4>, window: Window) -> Option<[usize; 4]> {
    use crate::route::fast;
    let [images, input, height, width] = x.dims();
    let [output, taken, rows, columns] = weight.dims();
    /// No length, nor a product of them, comes near the end of numbers.
    const MOST: usize = 1 << 20;
    let [h, w] = window.positions([height, width], [rows, columns]);
    let lengths = [window.stride, window.padding, window.dilation, [h, w]];
    let small = lengths.as_flattened().iter().all(|length| *length <= MOST);
    let fits = input == taken && h > 0 && w > 0 && small && fast(x) && fast(weight);
    fits.then_some([images, output, h, w])
}
