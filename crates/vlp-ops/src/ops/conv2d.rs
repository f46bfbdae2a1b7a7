//! Convolution of images, optionally followed by a frozen norm.
//!
//! Needed as long as burn's CPU backend has no dedicated backward pass for convolutions: it composes the gradients from a
//! convolution with the whole output as its kernel and a transposed convolution.

use std::fmt;

use burn::prelude::*;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;

use crate::{Affine, Conv2dGeometry, affine};

/// Convolution without bias.
///
/// On the CPU, outputs with and without autodiff may differ by rounding, and an infinite or NaN input may reach outputs (or
/// gradients) next to those whose kernel covers it.
///
/// # Shapes
/// - `x`: `[batch, in, h, w]`
/// - `weight`: `[out, in, kernel rows, kernel columns]`
/// - output: `[batch, out, h', w']`, with [`Conv2dGeometry::output_size`], of the type of `x`
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, geometry: Conv2dGeometry) -> Tensor<4> {
    cpu_path! {
        if fast_output_shape(&x, &weight, geometry).is_some() {
            return crate::autodiff::conv2d::conv2d(x, weight, geometry);
        }
    }
    let Conv2dGeometry {
        stride,
        padding,
        dilation,
    } = geometry;
    let options = ConvOptions::new(stride, padding, dilation, 1);
    gpu_path! {
        use burn::tensor::DType;
        use crate::precision::{half_type, is_half};
        let dtype = x.dtype();
        if is_half(dtype) {
            return module::conv2d(x, weight.cast(dtype), None, options);
        }
        let is_f32 = dtype == DType::F32 && weight.dtype() == DType::F32;
        if let Some(half) = half_type().filter(|_| is_f32 && !crate::is_cpu(&x.device())) {
            let (x, weight) = (x.cast(half), weight.cast(half));
            return module::conv2d(x, weight, None, options).cast(DType::F32);
        }
    }
    module::conv2d(x, weight, None, options)
}

/// [`affine`](crate::affine()) of [`conv2d`], with the same values. On the CPU the norm takes no separate pass if scale and
/// shift are frozen.
///
/// # Shapes
/// As [`conv2d`]; those of `after` fit the output.
pub fn conv2d_affine(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Conv2dGeometry,
    after: Affine,
) -> Tensor<4> {
    cpu_path! {
        let output = fast_output_shape(&x, &weight, geometry);
        if output.is_some_and(|shape| after.takes_fast_path(shape)) {
            return crate::autodiff::conv2d_affine::conv2d_affine(x, weight, geometry, after);
        }
    }
    affine(conv2d(x, weight, geometry), after)
}

/// Names of the algorithms that the CPU fast path uses for a convolution, with the instruction set and the precision in
/// use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conv2dAlgorithms {
    /// Of the output without autodiff.
    pub inference: &'static str,
    /// Of the output with autodiff.
    pub training: &'static str,
    /// Of the gradient of the input.
    pub input_grad: &'static str,
    /// Of the gradient of the weight.
    pub weight_grad: &'static str,
}

impl fmt::Display for Conv2dAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            inference,
            training,
            input_grad,
            weight_grad,
        } = self;
        write!(
            f,
            "{training} (without autodiff {inference}), input gradient {input_grad}, weight gradient {weight_grad}"
        )
    }
}

/// The algorithms of a convolution of an input `[batch, in, h, w]` by a weight `[out, in, kernel rows, kernel columns]`, for
/// profiles. `None` without the feature `flex`.
#[allow(unused_variables, reason = "without the CPU backend")]
pub fn conv2d_algorithms(
    input: [usize; 4],
    weight: [usize; 4],
    geometry: Conv2dGeometry,
) -> Option<Conv2dAlgorithms> {
    cpu_path! {
        let shape = crate::cpu::conv::ConvShape::new(input, weight, geometry);
        let [inference, training, input_grad, weight_grad] =
            crate::cpu::conv::algorithm_names(&shape);
        return Some(Conv2dAlgorithms {
            inference,
            training,
            input_grad,
            weight_grad,
        });
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    None
}

/// For measurements, not a setting: the names that [`exclude_conv2d_algorithm`] takes. Empty without the feature `flex`.
#[doc(hidden)]
pub fn excludable_conv2d_algorithms() -> Vec<&'static str> {
    cpu_path! {
        return crate::cpu::conv::excludable();
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    Vec::new()
}

/// For measurements, not a setting: replaces one algorithm by the next best one in every convolution of the process. `None`
/// ends this.
#[doc(hidden)]
#[allow(unused_variables, reason = "without the CPU backend")]
pub fn exclude_conv2d_algorithm(name: Option<&str>) {
    cpu_path! {
        crate::cpu::conv::exclude(name);
    }
}

/// For measurements: convolutions that have taken another algorithm since the last call of [`exclude_conv2d_algorithm`].
#[doc(hidden)]
pub fn uses_of_excluded_conv2d_algorithm() -> usize {
    cpu_path! {
        return crate::cpu::conv::uses_of_excluded();
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    0
}

cpu_path! {
    /// The output's shape, if the fast path applies.
    fn fast_output_shape(
        x: &Tensor<4>,
        weight: &Tensor<4>,
        geometry: Conv2dGeometry,
    ) -> Option<[usize; 4]> {
        use crate::dispatch::takes_fast_path;
        let [images, channels, height, width] = x.dims();
        let [output, weight_channels, rows, columns] = weight.dims();
        /// Bound that keeps all products of lengths far from an overflow.
        const MAX_LEN: usize = 1 << 20;
        let [h, w] = geometry.output_size([height, width], [rows, columns]);
        let lengths = [geometry.stride, geometry.padding, geometry.dilation, [h, w]];
        let is_small = lengths.as_flattened().iter().all(|length| *length <= MAX_LEN);
        let fits = channels == weight_channels && h > 0 && w > 0 && is_small;
        let applies = fits && takes_fast_path(x) && takes_fast_path(weight);
        applies.then_some([images, output, h, w])
    }
}
