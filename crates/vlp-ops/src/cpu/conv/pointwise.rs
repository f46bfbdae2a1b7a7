//! Convolution by a kernel of 1x1 without padding: one matrix multiplication per image.

use std::borrow::Cow;

use super::im2col::{gather, scatter};
use super::shape::ConvShape;
use crate::Conv2dGeometry;
use crate::cpu::gemm::epilogue::Epilogue;
use crate::cpu::gemm::parallel::ParallelGemm;
use crate::cpu::matrix::Matrix;
use crate::cpu::tensor::alloc_blocks;

/// `[images, out, positions]` from `x` and a weight `[out, in]`.
pub(super) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weight: Matrix<'_>,
    k_chunk: Option<usize>,
    epilogue: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    let matmul_shape = [shape.out_channels, shape.in_channels, shape.output_area()];
    multiply_images(
        &sampled_input(shape, x),
        weight,
        matmul_shape,
        k_chunk,
        epilogue,
    )
}

/// The gradient of the input.
pub(super) fn input_grad(shape: &ConvShape, grad_output: &[f32], weight: &[f32]) -> Vec<f32> {
    let weight = Matrix::row_major(weight, shape.in_channels).transposed();
    let matmul_shape = [shape.in_channels, shape.out_channels, shape.output_area()];
    let grad = multiply_images(grad_output, weight, matmul_shape, None, None);
    if shape.geometry.stride == [1, 1] {
        return grad;
    }
    alloc_blocks(
        shape.images * shape.in_channels * shape.input_area(),
        shape.input_area(),
        #[inline(always)]
        |plane, out| {
            let values = &grad[plane * shape.output_area()..][..shape.output_area()];
            scatter(shape, out, (0, 0, 0), 0, values);
        },
    )
}

/// `left` times the matrix `[depth, columns]` of each image of `x`.
fn multiply_images(
    x: &[f32],
    left: Matrix<'_>,
    [rows, depth, columns]: [usize; 3],
    k_chunk: Option<usize>,
    epilogue: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    let gemms: Vec<_> = x
        .chunks_exact(depth * columns)
        .map(|x| ParallelGemm {
            shape: [rows, depth, columns],
            left,
            right: Matrix::row_major(x, columns),
            bias: None,
            k_chunk,
            epilogue,
        })
        .collect();
    ParallelGemm::run_all(&gemms)
}

/// The input values that the positions read: all of them at stride 1.
pub(super) fn sampled_input<'a>(shape: &ConvShape, x: &'a [f32]) -> Cow<'a, [f32]> {
    if shape.geometry.stride == [1, 1] {
        return Cow::Borrowed(x);
    }
    let area = shape.output_area();
    Cow::Owned(alloc_blocks(
        shape.images * shape.in_channels * area,
        area,
        #[inline(always)]
        |plane, out| {
            let (image, channel) = (plane / shape.in_channels, plane % shape.in_channels);
            gather(shape, x, (channel, 0, 0), image * area, out);
        },
    ))
}

/// The convolution at stride 1 of the [`sampled_input`].
pub(super) fn sampled_shape(shape: &ConvShape) -> ConvShape {
    ConvShape {
        input_size: shape.output_size,
        geometry: Conv2dGeometry {
            stride: [1, 1],
            ..shape.geometry
        },
        ..*shape
    }
}
