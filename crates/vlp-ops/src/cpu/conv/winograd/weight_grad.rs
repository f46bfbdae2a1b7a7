//! The weight's gradient: tiles of inputs and of the output's gradient are multiplied, and the sums over all tiles
//! transformed to kernels.
//!
//! It is the adjoint of the forward transforms: a tile of 2x2 gradients becomes 4x4 values, and 4x4 sums become a kernel by
//! the transpose of its transform.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::{Block, VALUES};
use crate::cpu::conv::padded::PaddedInput;
use crate::cpu::conv::reduce_partials::write_sum;
use crate::cpu::conv::shape::ConvShape;
use crate::cpu::conv::weight_grad::{PANEL, Task};
use crate::cpu::gemm::DisjointOutput;
use crate::cpu::matrix::Matrix;
use crate::cpu::matrix::transpose::transpose;
use crate::cpu::simd::{dispatch, simd_dispatch};
use crate::cpu::tensor::with_scratch;

/// Floats of the tiles of a block, of all inputs and outputs: what fits the L2 caches.
const BLOCK_LEN: usize = 1 << 19;
/// Minimum number of tiles of a block, if there are that many: enough to be worth adding to the sums.
const MIN_TILES: usize = 128;
/// Inputs of a task.
const TASK_INPUTS: usize = 32;

/// The gradient of the weight.
pub(in crate::cpu::conv) fn weight_grad(
    shape: &ConvShape,
    grad_output: &[f32],
    x: &[f32],
) -> Vec<f32> {
    shape.count_flops();
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let max_tiles = (BLOCK_LEN / (VALUES * (inputs + outputs))).max(MIN_TILES);
    let blocks = Block::all(shape, max_tiles);
    let width = blocks.first().map_or(0, |block| block.width);
    let channel_len = VALUES * width;
    let stride = outputs.next_multiple_of(PANEL);
    let sums_len = VALUES * inputs * stride;
    let write = |gradient: &DisjointOutput| {
        with_scratch(sums_len + channel_len * (inputs + stride), |scratch| {
            let (sums, scratch) = scratch.split_at_mut(sums_len);
            let (input_tiles, grad_tiles) = scratch.split_at_mut(channel_len * inputs);
            for (number, block) in blocks.iter().enumerate() {
                block.transform_inputs(x, input_tiles);
                let tasks = grad_tiles.par_chunks_mut(channel_len * PANEL).enumerate();
                tasks.for_each(|(panel, out)| {
                    simd_dispatch(
                        #[inline(always)]
                        || block.transform_grad(panel, grad_output, out),
                    );
                });
                let tasks = sums
                    .par_chunks_mut(VALUES * TASK_INPUTS * stride)
                    .enumerate();
                tasks.for_each(|(i, sums)| {
                    let task_inputs = i * TASK_INPUTS..inputs.min((i + 1) * TASK_INPUTS);
                    let range = task_inputs.clone();
                    block.add_products(input_tiles, grad_tiles, range, sums, number == 0);
                    if number + 1 == blocks.len() {
                        // SAFETY: tasks write the taps of different inputs in all rows.
                        #[allow(unsafe_code)]
                        unsafe {
                            write_kernels(shape, task_inputs, sums, gradient);
                        }
                    }
                });
            }
        });
    };
    // SAFETY: the tasks of the last block write all inputs in all rows.
    #[allow(unsafe_code)]
    unsafe {
        DisjointOutput::fill(outputs * inputs * 9, write)
    }
}

/// Writes the kernels of some inputs and all outputs from sums `[16, inputs, stride]`.
///
/// # Safety
/// No other task may access the taps of these inputs, in any row of the gradient, during the call.
#[allow(unsafe_code)]
unsafe fn write_kernels(
    shape: &ConvShape,
    inputs: Range<usize>,
    sums: &[f32],
    gradient: &DisjointOutput,
) {
    let stride = shape.out_channels.next_multiple_of(PANEL);
    with_scratch(9 * inputs.len() * stride, |taps| {
        simd_dispatch(
            #[inline(always)]
            || transform_sums(sums, taps, inputs.len(), stride),
        );
        let columns = [9 * shape.in_channels, 9 * inputs.start];
        // SAFETY: the caller guarantees the requirements.
        unsafe { write_sum(&[taps], stride, 0..shape.out_channels, gradient, columns) }
    });
}

impl Block<'_> {
    /// Adds the products of all tiles to the sums of some inputs and all outputs, `[16, inputs, stride]`.
    fn add_products(
        &self,
        input_tiles: &[f32],
        grad_tiles: &[f32],
        inputs: Range<usize>,
        sums: &mut [f32],
        overwrite: bool,
    ) {
        let tiles = self.tiles();
        // As a convolution with one tap and one row of positions.
        let shape = ConvShape {
            images: 1,
            output_size: [1, tiles],
            ..*self.shape
        };
        let stride = shape.out_channels.next_multiple_of(PANEL);
        let tasks = sums.par_chunks_mut(inputs.len() * stride).enumerate();
        tasks.for_each(|(value, sums)| {
            let input = PaddedInput {
                values: Cow::Borrowed(&input_tiles[value * self.width..]),
                channel_stride: VALUES * self.width,
                image_stride: tiles,
                row_stride: tiles,
                taps: vec![0],
            };
            dispatch(Task {
                shape: &shape,
                input: &input,
                grad_panels: &grad_tiles[value * self.width * PANEL..],
                panel_stride: VALUES * self.width,
                inputs: inputs.clone(),
                rows: 0..1,
                sums,
                overwrite,
            });
        });
    }

    /// Transformed tiles of a panel of the output's gradient, into `[16, width, PANEL]`: `A d A^T`.
    #[inline(always)]
    fn transform_grad(&self, panel: usize, grad_output: &[f32], out: &mut [f32]) {
        let [height, columns] = self.shape.output_size;
        let (first, area) = (panel * PANEL, self.shape.output_area());
        let outputs = PANEL.min(self.shape.out_channels - first);
        let row_len = 2 * self.grid[1];
        // Zeros in lanes without an output, and after rows of odd length.
        let mut lines = vec![[0f32; PANEL]; 2 * row_len];
        let value_len = self.width * PANEL;
        for (number, first_tile) in self.rows.clone().zip((0..).step_by(self.grid[1])) {
            let (image, row) = (number / self.grid[0], number % self.grid[0]);
            let plane = (image * self.shape.out_channels + first) * area;
            for (i, line) in lines.chunks_exact_mut(row_len).enumerate() {
                match 2 * row + i < height {
                    false => line.fill([0.0; PANEL]),
                    true => {
                        let grad = &grad_output[plane + (2 * row + i) * columns..];
                        let rows = Matrix::row_major(grad, area);
                        let line = line.as_flattened_mut();
                        transpose(rows, [outputs, columns], line, PANEL);
                    }
                }
            }
            let (upper, lower) = lines.split_at(row_len);
            let (upper, lower) = (upper.as_chunks::<2>().0, lower.as_chunks::<2>().0);
            for (i, ([a, b], [c, d])) in upper.iter().zip(lower).enumerate() {
                let rows = [
                    [*a, *b],
                    [map(a, c, |a, c| a + c), map(b, d, |b, d| b + d)],
                    [map(a, c, |a, c| a - c), map(b, d, |b, d| b - d)],
                    [map(c, c, |c, _| -c), map(d, d, |d, _| -d)],
                ];
                for (j, [p, q]) in rows.iter().enumerate() {
                    let values = [
                        *p,
                        map(p, q, |p, q| p + q),
                        map(p, q, |p, q| p - q),
                        map(q, q, |q, _| -q),
                    ];
                    for (k, value) in values.iter().enumerate() {
                        let start = (4 * j + k) * value_len + (first_tile + i) * PANEL;
                        out[start..start + PANEL].copy_from_slice(value);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn map(a: &[f32; PANEL], b: &[f32; PANEL], f: impl Fn(f32, f32) -> f32) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    for i in 0..PANEL {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// `[inputs, 9, stride]` from sums `[16, inputs, stride]`: `G^T m G`.
#[inline(always)]
fn transform_sums(sums: &[f32], taps: &mut [f32], inputs: usize, stride: usize) {
    for input in 0..inputs {
        for output in (0..stride).step_by(PANEL) {
            let value = |i: usize| {
                let mut value = [0.0; PANEL];
                let start = (i * inputs + input) * stride + output;
                value.copy_from_slice(&sums[start..][..PANEL]);
                value
            };
            let [a, b, c, d] = [
                transform_column([value(0), value(4), value(8), value(12)]),
                transform_column([value(1), value(5), value(9), value(13)]),
                transform_column([value(2), value(6), value(10), value(14)]),
                transform_column([value(3), value(7), value(11), value(15)]),
            ];
            let rows = [
                [a[0], b[0], c[0], d[0]],
                [a[1], b[1], c[1], d[1]],
                [a[2], b[2], c[2], d[2]],
            ];
            for (i, row) in rows.into_iter().enumerate() {
                for (j, tap) in transform_column(row).iter().enumerate() {
                    let start = (9 * input + 3 * i + j) * stride + output;
                    taps[start..start + PANEL].copy_from_slice(tap);
                }
            }
        }
    }
}

/// `G^T m` of many columns.
#[inline(always)]
fn transform_column([first, sum, difference, last]: [[f32; PANEL]; 4]) -> [[f32; PANEL]; 3] {
    let even = map(&sum, &difference, |a, b| 0.5 * (a + b));
    [
        map(&first, &even, |a, b| a + b),
        map(&sum, &difference, |a, b| 0.5 * (a - b)),
        map(&last, &even, |a, b| a + b),
    ]
}
