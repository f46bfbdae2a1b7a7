//! The weight's gradient in bf16: tiles of the im2col matrix times the output's gradient.

use rayon::prelude::*;

use super::im2col::im2col;
use super::pointwise::sampled_input;
use super::reduce_partials::sum_partials;
use super::shape::ConvShape;
use crate::cpu::bf16::Packed;
use crate::cpu::gemm::{Matrix, transposed_copy};
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::with_scratch;

/// Input channels of a task for a kernel of 3x3, about.
const CHANNELS: usize = 16;
/// Number of tasks.
const TASKS: usize = 8;

/// The gradient of the weight.
///
/// A task is a block of input channels times a group of tiles. Both follow from the shape alone, and groups are summed in
/// order.
///
/// # Panics
/// Where matrices are not multiplied in bf16, or there are too few outputs for it: `plan` has checked both.
pub(super) fn weight_grad(shape: &ConvShape, grad_output: &[f32], x: &[f32]) -> Vec<f32> {
    let (taps, area, outputs) = (shape.taps(), shape.output_area(), shape.out_channels);
    let channels = (CHANNELS * 9).div_ceil(taps).min(shape.in_channels);
    let width = channels * taps;
    let [units, span] = shape.units();
    let tile = ConvShape::tile(width).min(span);
    let tiles_per_unit = span.div_ceil(tile);
    let tiles = units * tiles_per_unit;
    let blocks = shape.in_channels.div_ceil(channels);
    let groups = TASKS.div_ceil(blocks).min(tiles);
    let group_tiles = tiles.div_ceil(groups);
    // A pointwise convolution reads its input in place of the im2col matrix.
    let pointwise_input =
        (shape.is_pointwise() && shape.units_are_images()).then(|| sampled_input(shape, x));
    // Where all images are one unit, `[positions of all images, outputs]`.
    let joined_grad = (!shape.units_are_images()).then(|| {
        let images = grad_output.chunks_exact(outputs * area);
        let transposed =
            images.map(|grad| transposed_copy(Matrix::row_major(grad, area), outputs, area));
        transposed.collect::<Vec<_>>().concat()
    });
    let packed = |number: usize| {
        let (unit, position) = (number / tiles_per_unit, number % tiles_per_unit * tile);
        let grad = match &joined_grad {
            Some(joined) => Matrix::row_major(&joined[position * outputs..], outputs),
            None => {
                let grad = &grad_output[unit * outputs * area + position..];
                Matrix::row_major(grad, area).transposed()
            }
        };
        Packed::right(grad, [tile.min(span - position), outputs])
    };
    let packed: Option<Vec<Packed>> = (0..tiles).map(packed).collect();
    #[allow(clippy::expect_used)]
    let packed = packed.expect("`plan` chooses this in bf16 alone");
    let partial_sum = |task: usize| {
        let (block, group) = (task / groups, task % groups);
        let first = block * channels;
        let width = channels.min(shape.in_channels - first) * taps;
        let mut sum = vec![0.0; outputs * width];
        let group = packed.iter().enumerate().skip(group * group_tiles);
        for (number, packed) in group.take(group_tiles) {
            let (unit, position) = (number / tiles_per_unit, number % tiles_per_unit * tile);
            let count = tile.min(span - position);
            let matmul_shape = [width, count, outputs];
            if let Some(input) = &pointwise_input {
                let start = (unit * shape.in_channels + first) * area + position;
                let left = Matrix::row_major(&input[start..], area);
                packed.add_left_times_self(left, matmul_shape, &mut sum);
                continue;
            }
            with_scratch(width * count, |columns| {
                let position = unit * span + position;
                simd_dispatch(|| im2col(shape, x, first * taps, position, count, columns));
                let left = Matrix::row_major(columns, count);
                packed.add_left_times_self(left, matmul_shape, &mut sum);
            });
        }
        sum
    };
    let tasks = (0..blocks * groups).into_par_iter();
    let partial_sums: Vec<Vec<f32>> = tasks.map(partial_sum).collect();
    sum_partials(&partial_sums, groups, outputs, [outputs, shape.depth()])
}
