//! Convolution by matrix multiplication, in tiles of the im2col matrix that stay in the cache.

use std::ops::Range;

use rayon::prelude::*;

use super::im2col::im2col;
use super::shape::ConvShape;
use crate::cpu::bf16::{Accumulate, Bf16Gemm, MatmulIsa, Operand, Packed};
use crate::cpu::gemm::DisjointOutput;
use crate::cpu::gemm::epilogue::Epilogue;
use crate::cpu::matrix::Matrix;
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::{alloc_blocks, with_scratch};
use crate::flops::count_matmul;

/// With fewer tiles the outputs are distributed over the threads, too.
const MIN_TILES: usize = 8;
/// Outputs of a task where tiles are few.
const TASK_OUTPUTS: usize = 48;
/// Outputs whose partial sums stay in the L1 cache.
const OUTPUT_GROUP: usize = 96;

/// Terms that are summed before they are added to the total. Rounding grows with the length of these sums and with their
/// number; shorter ones cost more than they gain.
pub(super) fn k_chunk(shape: &ConvShape) -> usize {
    let min = if shape.taps() == 1 { 64 } else { 27 };
    shape.depth().isqrt().max(min)
}

/// `[images, out, positions]` from `x` and the weight as a matrix `[out, in * taps]`.
pub(super) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weight: Matrix<'_>,
    k_chunk: Option<usize>,
    epilogue: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    let (area, outputs, depth) = (shape.output_area(), shape.out_channels, shape.depth());
    let [units, span] = shape.units();
    let tile = ConvShape::tile(depth).min(span);
    let tiles_per_unit = span.div_ceil(tile);
    let tiles = units * tiles_per_unit;
    // Unit, first position and number of positions of a tile.
    let tile_range = |number: usize| {
        let (unit, first) = (number / tiles_per_unit, number % tiles_per_unit * tile);
        (unit, first, tile.min(span - first))
    };
    // With few tiles, outputs are distributed over tasks, too, and the im2col matrix is computed beforehand.
    let has_few_tiles = tiles < MIN_TILES;
    let k_chunk = k_chunk.unwrap_or(depth).min(depth);
    // In bf16 all terms are one sum.
    let packed = Packed::left(weight, [outputs, depth]);
    let task_outputs = match &packed {
        _ if !has_few_tiles => outputs,
        Some(_) => TASK_OUTPUTS.next_multiple_of(MatmulIsa::current().panel_rows()),
        None => TASK_OUTPUTS,
    };
    // Where all images are one unit, the epilogue follows when they are separated.
    let tile_epilogue = epilogue.filter(|_| shape.units_are_images());
    // SAFETY: tasks write disjoint blocks, positions of a tile times some outputs, and the blocks are all of the output.
    #[allow(unsafe_code)]
    let result = unsafe {
        DisjointOutput::fill(units * outputs * span, |output| {
            let multiply = |number: usize, columns: &[f32], task_outputs: Range<usize>| {
                let (unit, first, count) = tile_range(number);
                let start = |row: usize| (unit * outputs + row) * span + first;
                let apply_epilogue = |rows: Range<usize>| {
                    if let Some(epilogue) = tile_epilogue {
                        epilogue.apply_block(output, start(rows.start), rows, [count, span]);
                    }
                };
                if let Some(packed) = &packed {
                    count_matmul([task_outputs.len(), depth, count]);
                    let right = Matrix::row_major(columns, count);
                    right.assert_contains(depth, count);
                    let gemm = Bf16Gemm {
                        depth,
                        left: Operand::Packed(packed),
                        right: Operand::Plain(right),
                    };
                    let out = output.ptr(start(0), span);
                    gemm.write(task_outputs.clone(), 0..count, out, Accumulate::Zero);
                    return apply_epilogue(task_outputs);
                }
                let group = if k_chunk < depth {
                    OUTPUT_GROUP
                } else {
                    outputs
                };
                for row in task_outputs.clone().step_by(group) {
                    let rows = group.min(task_outputs.end - row);
                    for k in (0..depth).step_by(k_chunk) {
                        let matmul_shape = [rows, k_chunk.min(depth - k), count];
                        let left = weight.offset(row, k);
                        let right = Matrix::row_major(&columns[k * count..], count);
                        output.matmul(start(row), matmul_shape, span, k > 0, left, right);
                    }
                    apply_epilogue(row..row + rows);
                }
            };
            if has_few_tiles {
                let columns: Vec<Vec<f32>> = (0..tiles)
                    .map(|number| {
                        let (unit, first, count) = tile_range(number);
                        let taps = shape.taps();
                        alloc_blocks(
                            depth * count,
                            count * taps,
                            #[inline(always)]
                            |channel, out| {
                                let position = unit * span + first;
                                im2col(shape, x, channel * taps, position, count, out);
                            },
                        )
                    })
                    .collect();
                let blocks = outputs.div_ceil(task_outputs);
                (0..tiles * blocks).into_par_iter().for_each(|task| {
                    let (number, first) = (task / blocks, task % blocks * task_outputs);
                    let range = first..outputs.min(first + task_outputs);
                    multiply(number, &columns[number], range);
                });
            } else {
                (0..tiles).into_par_iter().for_each(|number| {
                    let (unit, first, count) = tile_range(number);
                    with_scratch(depth * count, |columns| {
                        let position = unit * span + first;
                        simd_dispatch(|| im2col(shape, x, 0, position, count, columns));
                        multiply(number, columns, 0..outputs);
                    });
                });
            }
        })
    };
    if shape.units_are_images() {
        return result;
    }
    // From outputs of all images to images of all outputs.
    alloc_blocks(
        result.len(),
        outputs * area,
        #[inline(always)]
        |image, out| {
            for (channel, out) in out.chunks_exact_mut(area).enumerate() {
                out.copy_from_slice(&result[channel * span + image * area..][..area]);
                if let Some(epilogue) = epilogue {
                    epilogue.apply(channel, (image * outputs + channel) * area, out);
                }
            }
        },
    )
}
