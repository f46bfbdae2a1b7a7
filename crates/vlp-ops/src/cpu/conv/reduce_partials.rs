//! Sums the partial gradients of a weight that tasks have computed, and transposes them: tasks have taps as rows, the weight
//! has outputs.

use std::ops::Range;

use rayon::prelude::*;

use crate::cpu::gemm::DisjointOutput;
use crate::cpu::matrix::Matrix;
use crate::cpu::matrix::transpose::{SIDE, transpose};
use crate::cpu::simd::simd_dispatch;

/// `[outputs, depth]` from partial sums `[taps, outputs]` with rows `stride` values apart: each `groups` neighboring ones
/// have the same taps and are added, the next ones have the taps that follow.
pub(super) fn sum_partials(
    partials: &[Vec<f32>],
    groups: usize,
    stride: usize,
    [outputs, depth]: [usize; 2],
) -> Vec<f32> {
    // SAFETY: tasks write different rows, and in them the taps of all partial sums, which are all values.
    #[allow(unsafe_code)]
    unsafe {
        DisjointOutput::fill(outputs * depth, |gradient| {
            (0..outputs.div_ceil(SIDE)).into_par_iter().for_each(|i| {
                let outputs = i * SIDE..outputs.min((i + 1) * SIDE);
                let mut column = 0;
                for partials in partials.chunks(groups) {
                    write_sum(partials, stride, outputs.clone(), gradient, [depth, column]);
                    column += partials[0].len() / stride;
                }
            });
        })
    }
}

/// Writes the sum of the partial sums, `[taps, outputs]` with rows `stride` values apart, into rows `outputs` of a gradient
/// with rows of `depth` values, from `column` on.
///
/// # Safety
/// The requirements of [`DisjointOutput::uninit_slice`] must hold for these rows and as many columns as the partial
/// sums have taps.
#[allow(unsafe_code)]
pub(super) unsafe fn write_sum<P: AsRef<[f32]>>(
    partials: &[P],
    stride: usize,
    outputs: Range<usize>,
    gradient: &DisjointOutput,
    [depth, column]: [usize; 2],
) {
    let taps = partials[0].as_ref().len() / stride;
    simd_dispatch(
        #[inline(always)]
        || {
            for first in outputs.clone().step_by(SIDE) {
                let rows = first..outputs.end.min(first + SIDE);
                for tap in (0..taps).step_by(SIDE) {
                    let width = SIDE.min(taps - tap);
                    let block = sum_block(partials, stride, tap..tap + width, rows.clone());
                    let mut transposed = [[0.0; SIDE]; SIDE];
                    let out = transposed.as_flattened_mut();
                    let from = Matrix::row_major(block.as_flattened(), SIDE);
                    transpose(from, [width, rows.len()], out, SIDE);
                    for (row, sums) in rows.clone().zip(&transposed) {
                        let start = row * depth + column + tap;
                        // SAFETY: the row is part of the block, for which the caller guarantees this.
                        let out = unsafe { gradient.uninit_slice(start, width) };
                        out.write_copy_of_slice(&sums[..width]);
                    }
                }
            }
        },
    );
}

/// The sum of a block, some taps and some outputs, of all partial sums.
#[inline(always)]
fn sum_block<P: AsRef<[f32]>>(
    partials: &[P],
    stride: usize,
    taps: Range<usize>,
    outputs: Range<usize>,
) -> [[f32; SIDE]; SIDE] {
    let mut block = [[0f32; SIDE]; SIDE];
    for partial in partials {
        for (tap, sums) in taps.clone().zip(&mut block) {
            let values = &partial.as_ref()[tap * stride..][outputs.clone()];
            match values.as_array::<SIDE>() {
                Some(values) => (0..SIDE).for_each(|i| sums[i] += values[i]),
                None => sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += *v),
            }
        }
    }
    block
}
