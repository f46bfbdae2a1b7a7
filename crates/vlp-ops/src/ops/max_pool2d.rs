//! Maximum pooling.
//!
//! Needed as long as burn's CPU backend visits every window value by value.

use burn::prelude::*;
use burn::tensor::ops::MaxPoolOptions;

use crate::Conv2dGeometry;

/// The maximum under each position of a kernel of this size. The first of several equal maxima gets the gradient.
///
/// # Shapes
/// - `x`: `[batch, channels, h, w]`
/// - output: `[batch, channels, h', w']`, with [`Conv2dGeometry::output_size`]
pub fn max_pool2d(x: Tensor<4>, kernel: [usize; 2], geometry: Conv2dGeometry) -> Tensor<4> {
    cpu_path! {
        let [_, _, rows, columns] = x.dims();
        let output = geometry.output_size([rows, columns], kernel);
        // With so little padding every position of the kernel covers a value.
        let covers_input = [0, 1].iter().all(|&axis| {
            let reach = (kernel[axis] - 1) * geometry.dilation[axis];
            output[axis] > 0 && geometry.padding[axis] <= reach / 2
        });
        let applies = covers_input && geometry.dilation == [1, 1];
        if applies && crate::dispatch::takes_fast_path(&x) {
            return crate::autodiff::max_pool2d::max_pool2d(x, kernel, geometry);
        }
    }
    let Conv2dGeometry {
        stride,
        padding,
        dilation,
    } = geometry;
    let options = MaxPoolOptions::new(kernel)
        .with_stride(stride)
        .with_padding(padding)
        .with_dilation(dilation);
    burn::tensor::module::max_pool2d(x, options)
}
