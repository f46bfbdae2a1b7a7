//! The weight's gradient from what tasks have summed: they have taps as rows, the weight has outputs.

use std::ops::Range;

use rayon::prelude::*;

use crate::flex::wide;
use crate::matrix::{Matrix, Sheet};
use crate::square::{self, SIDE};

/// `[output, depth]` from parts `[taps, outputs]` with rows of `stride`: `groups` of them, one after the other, hold the same
/// taps and are added up, the next ones the taps that follow.
pub(super) fn joined(
    parts: &[Vec<f32>],
    groups: usize,
    stride: usize,
    [output, depth]: [usize; 2],
) -> Vec<f32> {
    // SAFETY: tasks write rows of their own, and in them the taps of all parts, which are all.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(output * depth, |sheet| {
            (0..output.div_ceil(SIDE)).into_par_iter().for_each(|i| {
                let outputs = i * SIDE..output.min((i + 1) * SIDE);
                let mut column = 0;
                for parts in parts.chunks(groups) {
                    write(parts, stride, outputs.clone(), sheet, [depth, column]);
                    column += parts[0].len() / stride;
                }
            });
        })
    }
}

/// Writes the sum of all parts, `[taps, outputs]` with rows of `stride`, into rows `outputs` of a sheet with rows of `depth`,
/// from `column` on.
///
/// # Safety
/// As [`Sheet::product`], of these rows and as many columns as the parts have taps.
#[allow(unsafe_code)]
pub(super) unsafe fn write<P: AsRef<[f32]>>(
    parts: &[P],
    stride: usize,
    outputs: Range<usize>,
    sheet: &Sheet,
    [depth, column]: [usize; 2],
) {
    let taps = parts[0].as_ref().len() / stride;
    wide(
        #[inline(always)]
        || {
            for first in outputs.clone().step_by(SIDE) {
                let rows = first..outputs.end.min(first + SIDE);
                for tap in (0..taps).step_by(SIDE) {
                    let width = SIDE.min(taps - tap);
                    let square = square(parts, stride, tap..tap + width, rows.clone());
                    let mut turned = [[0.0; SIDE]; SIDE];
                    let from = Matrix::of_rows(square.as_flattened(), SIDE);
                    square::turn(from, [width, rows.len()], turned.as_flattened_mut(), SIDE);
                    for (row, sums) in rows.clone().zip(&turned) {
                        // SAFETY: the caller's.
                        let out = unsafe { sheet.row(row * depth + column + tap, width) };
                        out.write_copy_of_slice(&sums[..width]);
                    }
                }
            }
        },
    );
}

/// The sum of a square of all parts: some taps, some outputs.
#[inline(always)]
fn square<P: AsRef<[f32]>>(
    parts: &[P],
    stride: usize,
    taps: Range<usize>,
    outputs: Range<usize>,
) -> [[f32; SIDE]; SIDE] {
    let mut square = [[0f32; SIDE]; SIDE];
    for part in parts {
        for (tap, sums) in taps.clone().zip(&mut square) {
            let values = &part.as_ref()[tap * stride..][outputs.clone()];
            match values.as_array::<SIDE>() {
                Some(values) => (0..SIDE).for_each(|i| sums[i] += values[i]),
                None => sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += *v),
            }
        }
    }
    square
}
