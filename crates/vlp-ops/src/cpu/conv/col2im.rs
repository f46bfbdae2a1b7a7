//! The input's gradient by the gradient of the im2col matrix, which is scattered to the input.

use super::im2col::scatter;
use super::shape::ConvShape;
use crate::cpu::gemm::matmul;
use crate::cpu::matrix::Matrix;
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::{alloc_blocks, with_scratch};

/// Input channels of a task, about.
const CHANNELS: usize = 16;

/// The gradient of the input.
pub(super) fn input_grad(shape: &ConvShape, grad_output: &[f32], weight: &[f32]) -> Vec<f32> {
    let (taps, area, outputs) = (shape.taps(), shape.output_area(), shape.out_channels);
    // Each task has the same number of channels of one image; all of them where no number in the range divides them.
    let divides = |channels: &usize| shape.in_channels.is_multiple_of(*channels);
    let channels = (CHANNELS / 2..=CHANNELS).rev().find(divides);
    let channels = channels.unwrap_or(shape.in_channels);
    let blocks = shape.in_channels / channels;
    let plane = shape.input_area();
    let rows = channels * taps;
    let tile = ConvShape::tile(rows).min(area);
    alloc_blocks(
        shape.images * shape.in_channels * plane,
        channels * plane,
        #[inline(always)]
        |task, out| {
            let (image, first) = (task / blocks, task % blocks * rows);
            let grad = &grad_output[image * outputs * area..(image + 1) * outputs * area];
            for position in (0..area).step_by(tile) {
                let count = tile.min(area - position);
                let left = Matrix::row_major(&weight[first..], shape.depth()).transposed();
                let right = Matrix::row_major(&grad[position..], area);
                with_scratch(rows * count, |columns| {
                    matmul([rows, outputs, count], columns, count, false, left, right);
                    simd_dispatch(
                        #[inline(always)]
                        || {
                            for (i, values) in columns.chunks(count).enumerate() {
                                let tap = shape.tap(i);
                                let out = &mut out[tap.0 * plane..(tap.0 + 1) * plane];
                                scatter(shape, out, tap, position, values);
                            }
                        },
                    );
                });
            }
        },
    )
}
