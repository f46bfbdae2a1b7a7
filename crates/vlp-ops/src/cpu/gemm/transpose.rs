//! Transposes blocks of 16x16, in registers where AVX-512 is in use.

use super::Matrix;
#[cfg(target_arch = "x86_64")]
use crate::{SimdLevel, simd_level};

/// Rows and columns of a block.
pub(crate) const SIDE: usize = 16;

/// Writes the transpose of `rows` rows of `columns` neighboring values: `columns` rows of `out`, which are `stride` values
/// apart.
#[inline(always)]
pub(crate) fn transpose(
    from: Matrix<'_>,
    [rows, columns]: [usize; 2],
    out: &mut [f32],
    stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(from.column_stride == 1);
    from.assert_contains(rows, columns);
    assert!((columns - 1) * stride + rows <= out.len());
    #[cfg(target_arch = "x86_64")]
    if simd_level() == SimdLevel::Avx512 {
        // SAFETY: the processor has AVX-512F; all rows of both matrices are inside their slices (asserted).
        #[allow(unsafe_code)]
        return unsafe { x86::transpose(from, [rows, columns], out, stride) };
    }
    for first in (0..rows).step_by(SIDE) {
        let count = SIDE.min(rows - first);
        for column in 0..columns {
            let values = from.values[first * from.row_stride + column..].iter();
            let out = &mut out[column * stride + first..][..count];
            for (out, value) in out.iter_mut().zip(values.step_by(from.row_stride)) {
                *out = *value;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use std::arch::x86_64::*;

    use super::SIDE;
    use crate::cpu::gemm::Matrix;

    /// The first `count` of 16 lanes.
    pub(crate) fn lane_mask(count: usize) -> u16 {
        ((1u32 << count.min(SIDE)) - 1) as u16
    }

    /// # Safety
    /// The processor must have AVX-512F. `rows` rows of `columns` values must be inside `from`, and `columns` rows of `rows`
    /// values, `stride` apart, inside `out`.
    #[target_feature(enable = "avx512f")]
    #[allow(unsafe_code)]
    pub(super) unsafe fn transpose(
        from: Matrix<'_>,
        [rows, columns]: [usize; 2],
        out: &mut [f32],
        stride: usize,
    ) {
        for first in (0..rows).step_by(SIDE) {
            let count = SIDE.min(rows - first);
            for column in (0..columns).step_by(SIDE) {
                let width = SIDE.min(columns - column);
                let mut block = [_mm512_setzero_si512(); SIDE];
                for (row, line) in block.iter_mut().enumerate().take(count) {
                    let start = (first + row) * from.row_stride + column;
                    // SAFETY: the masked lanes are inside a row; guaranteed by the caller.
                    unsafe {
                        let from = from.values.as_ptr().add(start);
                        *line = _mm512_maskz_loadu_epi32(lane_mask(width), from.cast());
                    }
                }
                for (i, line) in transpose_block(block).into_iter().enumerate().take(width) {
                    let start = (column + i) * stride + first;
                    // SAFETY: the masked lanes are inside a row; guaranteed by the caller.
                    unsafe {
                        let out = out.as_mut_ptr().add(start);
                        _mm512_mask_storeu_epi32(out.cast(), lane_mask(count), line);
                    }
                }
            }
        }
    }

    /// Transposes 16 rows of 16 values of 32 bits: blocks of 4x4 first, then the order of the blocks.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn transpose_block(rows: [__m512i; SIDE]) -> [__m512i; SIDE] {
        let mut pairs = rows;
        for i in (0..SIDE).step_by(2) {
            pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        // The four quarters of row 4 i + q: columns q, 4 + q, 8 + q and 12 + q of rows 4 i to 4 i + 3.
        let mut quads = pairs;
        for i in (0..SIDE).step_by(4) {
            for j in 0..2 {
                quads[i + 2 * j] = _mm512_unpacklo_epi64(pairs[i + j], pairs[i + j + 2]);
                quads[i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[i + j], pairs[i + j + 2]);
            }
        }
        /// Quarters 0 and 2 of both operands, and quarters 1 and 3.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let mut columns = quads;
        for q in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|i| quads[i + q]);
            let (left, right) = (
                _mm512_shuffle_i32x4::<EVEN>(a, b),
                _mm512_shuffle_i32x4::<EVEN>(c, d),
            );
            columns[q] = _mm512_shuffle_i32x4::<EVEN>(left, right);
            columns[8 + q] = _mm512_shuffle_i32x4::<ODD>(left, right);
            let (left, right) = (
                _mm512_shuffle_i32x4::<ODD>(a, b),
                _mm512_shuffle_i32x4::<ODD>(c, d),
            );
            columns[4 + q] = _mm512_shuffle_i32x4::<EVEN>(left, right);
            columns[12 + q] = _mm512_shuffle_i32x4::<ODD>(left, right);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows_and_nothing_else_is_written() {
        for [rows, columns] in [[1, 1], [16, 16], [3, 40], [33, 5], [17, 50], [0, 4]] {
            let (from_stride, out_stride) = (columns + 2, rows + 3);
            let values: Vec<f32> = (0..rows * from_stride).map(|i| i as f32).collect();
            let mut out = vec![-1.0; columns * out_stride];
            let from = Matrix::row_major(&values, from_stride);
            transpose(from, [rows, columns], &mut out, out_stride);
            for (i, value) in out.iter().enumerate() {
                let (column, row) = (i / out_stride, i % out_stride);
                let expected = match row < rows {
                    true => (row * from_stride + column) as f32,
                    false => -1.0,
                };
                assert_eq!(*value, expected, "{rows} x {columns}, {row}, {column}");
            }
        }
    }
}
