//! The output: kernels and tiles of inputs are transformed and multiplied, and the products transformed to outputs.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Block, LANES, VALUES, split_in_four};
use crate::cpu::conv::shape::ConvShape;
use crate::cpu::conv::weight_view::WeightView;
use crate::cpu::gemm::epilogue::Epilogue;
use crate::cpu::gemm::{DisjointOutput, matmul_uncounted};
use crate::cpu::matrix::Matrix;
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::with_scratch;

/// Floats of the tiles of a block, of all inputs and outputs: what fits the L3 cache next to the kernels.
const BLOCK_LEN: usize = 1 << 21;
/// Minimum number of tiles of a block, if there are that many: enough to be worth reading the kernels.
const MIN_TILES: usize = 256;

/// `[images, out, positions]` from `x` and `weight`; `k_chunk` inputs are summed before they are added to the total.
pub(in crate::cpu::conv) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weight: WeightView<'_>,
    k_chunk: Option<usize>,
    epilogue: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    shape.count_flops();
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let max_tiles = (BLOCK_LEN / (VALUES * (inputs + outputs))).max(MIN_TILES);
    let blocks = Block::all(shape, max_tiles);
    let width = blocks.first().map_or(0, |block| block.width);
    // Not a power of two: rows at such distances would share cache sets.
    let kernel_stride = VALUES * inputs + LANES;
    let input_stride = VALUES * width;
    let k_chunk = k_chunk.unwrap_or(inputs);
    let write = |output: &DisjointOutput| {
        let length = kernel_stride * outputs + input_stride * (inputs + outputs);
        with_scratch(length, |scratch| {
            let (kernels, scratch) = scratch.split_at_mut(kernel_stride * outputs);
            let (tiles, products) = scratch.split_at_mut(input_stride * inputs);
            let tasks = kernels.par_chunks_mut(kernel_stride).enumerate();
            tasks.for_each(|(channel, out)| {
                simd_dispatch(
                    #[inline(always)]
                    || transform_kernels(weight, channel, inputs, out),
                );
            });
            for block in &blocks {
                block.transform_inputs(x, tiles);
                let tasks = products.par_chunks_mut(outputs * width).enumerate();
                tasks.for_each(|(value, out)| {
                    for first in (0..inputs).step_by(k_chunk) {
                        let depth = k_chunk.min(inputs - first);
                        let matmul_shape = [outputs, depth, block.tiles()];
                        let kernels = &kernels[value * inputs + first..];
                        let left = Matrix::row_major(kernels, kernel_stride);
                        let tiles = &tiles[first * input_stride + value * width..];
                        let right = Matrix::row_major(tiles, input_stride);
                        matmul_uncounted(matmul_shape, out, width, first > 0, left, right);
                    }
                });
                let tasks = (0..outputs).into_par_iter();
                tasks.for_each(|channel| {
                    simd_dispatch(
                        #[inline(always)]
                        || block.write_output(channel, products, output, epilogue),
                    );
                });
            }
        });
    };
    // SAFETY: the last tasks of a block write all columns of its rows, each of one output, and the blocks have all rows.
    #[allow(unsafe_code)]
    unsafe {
        DisjointOutput::fill(shape.images * outputs * shape.output_area(), write)
    }
}

/// Transformed kernels `[16, in]` of one output: `G g G^T`.
#[inline(always)]
fn transform_kernels(weight: WeightView<'_>, output: usize, count: usize, out: &mut [f32]) {
    let mut buffer = vec![0.0; (9 + 9 + 12) * count];
    let (kernels, buffer) = buffer.split_at_mut(9 * count);
    let (taps, columns) = buffer.split_at_mut(9 * count);
    let kernels = kernels.as_chunks_mut::<9>().0;
    // Each kernel is read once, in its own order.
    for (input, kernel) in kernels.iter_mut().enumerate() {
        kernel.copy_from_slice(&weight.kernel(output, input)[..9]);
    }
    for (taps, offset) in taps.chunks_exact_mut(count).zip(weight.taps) {
        assert!(*offset < 9);
        for (tap, kernel) in taps.iter_mut().zip(&*kernels) {
            *tap = kernel[*offset];
        }
    }
    let tap = |i: usize| &taps[i * count..][..count];
    for (j, out) in columns.chunks_exact_mut(4 * count).enumerate() {
        let column = [tap(j), tap(3 + j), tap(6 + j)];
        transform_column(column, split_in_four(out, count));
    }
    let column = |j: usize, i: usize| &columns[(4 * j + i) * count..][..count];
    let rows = out[..VALUES * count].chunks_exact_mut(4 * count);
    for (i, out) in rows.enumerate() {
        let row = [column(0, i), column(1, i), column(2, i)];
        transform_column(row, split_in_four(out, count));
    }
}

/// `G g` of many columns.
#[inline(always)]
fn transform_column([a, b, c]: [&[f32]; 3], [first, sum, difference, last]: [&mut [f32]; 4]) {
    first.copy_from_slice(a);
    last.copy_from_slice(c);
    for ((((sum, difference), a), b), c) in sum.iter_mut().zip(difference).zip(a).zip(b).zip(c) {
        let (even, odd) = (0.5 * (a + c), 0.5 * b);
        *sum = even + odd;
        *difference = even - odd;
    }
}

impl Block<'_> {
    /// Writes the positions of one output from products `[16, out, width]`: `A^T m A`.
    #[inline(always)]
    fn write_output(
        &self,
        channel: usize,
        products: &[f32],
        output: &DisjointOutput,
        epilogue: Option<&Epilogue<'_>>,
    ) {
        let [height, columns] = self.shape.output_size;
        let row_len = self.row_len();
        let mut buffer = vec![0.0; 6 * row_len];
        let (sums, values) = buffer.split_at_mut(4 * row_len);
        let (even, odd) = values.split_at_mut(row_len);
        for (number, first_tile) in self.rows.clone().zip((0..).step_by(self.grid[1])) {
            let (image, row) = (number / self.grid[0], number % self.grid[0]);
            let plane = (image * self.shape.out_channels + channel) * height;
            let tiles = |value: usize| {
                let value_row = value * self.shape.out_channels + channel;
                &products[value_row * self.width + first_tile..][..row_len]
            };
            for i in 0..2.min(height - 2 * row) {
                for (j, sums) in sums.chunks_exact_mut(row_len).enumerate() {
                    let value = 4 * i + j;
                    let (a, b, c) = (tiles(value), tiles(value + 4), tiles(value + 8));
                    match i {
                        0 => map3(sums, a, b, c, |a, b, c| a + (b + c)),
                        _ => map3(sums, a, b, c, |a, b, c| a - b - c),
                    }
                }
                let [a, b, c, d] = split_in_four(sums, row_len);
                map3(even, a, b, c, |a, b, c| a + (b + c));
                map3(odd, b, c, d, |b, c, d| b - c - d);
                let start = (plane + 2 * row + i) * columns;
                // SAFETY: the row belongs to this output, and tasks have different outputs.
                #[allow(unsafe_code)]
                let out = unsafe { output.uninit_slice(start, columns) };
                let (pairs, rest) = out.as_chunks_mut::<2>();
                for ((out, even), odd) in pairs.iter_mut().zip(&*even).zip(&*odd) {
                    *out = [MaybeUninit::new(*even), MaybeUninit::new(*odd)];
                }
                for out in rest {
                    out.write(even[columns / 2]);
                }
                if let Some(epilogue) = epilogue {
                    // SAFETY: the same row has been written above.
                    #[allow(unsafe_code)]
                    let values = unsafe { output.slice(start, columns) };
                    epilogue.apply(channel, start, values);
                }
            }
        }
    }
}

#[inline(always)]
fn map3(out: &mut [f32], a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32) {
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = f(*a, *b, *c);
    }
}
