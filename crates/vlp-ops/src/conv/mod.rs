//! Convolution of images by columns: one matrix product forward, two backward; by Winograd's algorithm where 3x3
//! kernels move by one place over a large map, for the gradient of the input and for outputs without autodiff.
//!
//! Source: im2col as in Caffe (Jia et al. 2014); Lavin & Gray (2015). Needed as long as burn's CPU backend has no backward pass of its own
//! for convolutions: it composes them from a convolution with the whole output as kernel and a transposed one.

#[cfg(feature = "flex")]
mod columns;
#[cfg(feature = "flex")]
mod fast;
#[cfg(feature = "flex")]
mod forward;
#[cfg(feature = "flex")]
mod gradients;
#[cfg(feature = "flex")]
mod sizes;
#[cfg(feature = "flex")]
mod winograd;

use burn::prelude::*;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;

use crate::Window;

/// Convolution without bias: `x` `[batch, in, h, w]`, `weight` `[out, in, rows, columns]`, to
/// `[batch, out, positions of the window]`.
///
/// On the CPU outputs with and without autodiff may differ by rounding, and a value that is infinite or no number may
/// reach a neighbour of the outputs (or gradients) whose window holds it.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    #[cfg(feature = "flex")]
    {
        let [_, input, height, width] = x.dims();
        let [_, taken, rows, columns] = weight.dims();
        let fits = window.positions([height, width], [rows, columns]);
        if input == taken
            && fits.iter().all(|&p| p > 0)
            && crate::route::fast(&x)
            && crate::route::fast(&weight)
        {
            return fast::conv2d(x, weight, window);
        }
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
