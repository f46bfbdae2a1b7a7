//! Sums over whole tensors, and over the rows of a matrix.

use rayon::prelude::*;

use super::simd::{simd_dispatch, sum};
use super::tensor::CHUNK_LEN;

/// Sum of squares: chunks in f32, added in order in f64, since there may be thousands.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let partial_sums: Vec<f64> = values
        .par_chunks(CHUNK_LEN)
        .map(|chunk| {
            f64::from(simd_dispatch(
                #[inline(always)]
                || sum(chunk, |x| x * x),
            ))
        })
        .collect();
    partial_sums.iter().sum()
}

/// Sum of each column of a matrix of `width` columns: of groups of rows, added in order.
pub(crate) fn column_sums(values: &[f32], width: usize) -> Vec<f32> {
    /// Number of groups, and the minimum number of values of a group.
    const GROUPS: usize = 8;
    const MIN_LEN: usize = 1 << 13;
    let add_rows = |mut total: Vec<f32>, rows: &[f32]| {
        simd_dispatch(
            #[inline(always)]
            || {
                for row in rows.chunks_exact(width) {
                    for (total, value) in total.iter_mut().zip(row) {
                        *total += *value;
                    }
                }
            },
        );
        total
    };
    let rows = (values.len() / width).div_ceil(GROUPS);
    let rows = rows.max(MIN_LEN.div_ceil(width));
    let groups = values.par_chunks(rows * width);
    let sums = groups.map(|rows| add_rows(vec![0.0; width], rows));
    let sums: Vec<Vec<f32>> = sums.collect();
    add_rows(vec![0.0; width], &sums.concat())
}
