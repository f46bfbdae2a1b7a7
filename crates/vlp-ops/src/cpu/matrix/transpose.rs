//! Transposes blocks of 16x16 in registers of AVX-512, of 8x8 in those of AVX2.

use std::ops::Range;

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
    let mut done = [0, 0];
    #[cfg(target_arch = "x86_64")]
    match simd_level() {
        // SAFETY: the processor has AVX-512F; all rows of both matrices are inside their slices (asserted).
        #[allow(unsafe_code)]
        SimdLevel::Avx512 => return unsafe { x86::transpose(from, [rows, columns], out, stride) },
        SimdLevel::Avx2 => {
            done = [rows, columns].map(|count| count - count % x86::AVX2_SIDE);
            // SAFETY: the processor has AVX2; all rows of both matrices are inside their slices (asserted).
            #[allow(unsafe_code)]
            unsafe {
                x86::transpose_avx2(from, done, out, stride);
            }
        }
        _ => {}
    }
    transpose_values(from, [0..done[0], done[1]..columns], out, stride);
    transpose_values(from, [done[0]..rows, 0..columns], out, stride);
}

/// Writes the transpose of these rows and columns, value by value.
#[inline(always)]
fn transpose_values(
    from: Matrix<'_>,
    [rows, columns]: [Range<usize>; 2],
    out: &mut [f32],
    stride: usize,
) {
    for first in rows.clone().step_by(SIDE) {
        let count = SIDE.min(rows.end - first);
        for column in columns.clone() {
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
    use crate::cpu::matrix::Matrix;

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

    /// Rows and columns of a block of AVX2.
    pub(super) const AVX2_SIDE: usize = 8;

    /// As [`transpose`], of multiples of [`AVX2_SIDE`] rows and columns.
    ///
    /// # Safety
    /// The requirements of [`transpose`] must hold, with AVX2 instead of AVX-512F.
    #[target_feature(enable = "avx2")]
    #[allow(unsafe_code)]
    pub(super) unsafe fn transpose_avx2(
        from: Matrix<'_>,
        [rows, columns]: [usize; 2],
        out: &mut [f32],
        stride: usize,
    ) {
        for first in (0..rows).step_by(AVX2_SIDE) {
            for column in (0..columns).step_by(AVX2_SIDE) {
                let mut block = [_mm256_setzero_ps(); AVX2_SIDE];
                for (row, line) in block.iter_mut().enumerate() {
                    let start = (first + row) * from.row_stride + column;
                    // SAFETY: the access is inside a row, which the caller guarantees.
                    *line = unsafe { _mm256_loadu_ps(from.values.as_ptr().add(start)) };
                }
                for (i, line) in transpose_block_avx2(block).into_iter().enumerate() {
                    let start = (column + i) * stride + first;
                    // SAFETY: the access is inside a row, which the caller guarantees.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(start), line) };
                }
            }
        }
    }

    /// Transposes 8 rows of 8 values: blocks of 4x4 first, then the order of the blocks.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose_block_avx2(rows: [__m256; AVX2_SIDE]) -> [__m256; AVX2_SIDE] {
        /// The lower two values of both operands in each half, and the upper two.
        const LOW: i32 = 0b01_00_01_00;
        const HIGH: i32 = 0b11_10_11_10;
        let mut quads = rows;
        for i in [0, 4] {
            let [a, b, c, d] = [rows[i], rows[i + 1], rows[i + 2], rows[i + 3]];
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (next_low, next_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            quads[i] = _mm256_shuffle_ps::<LOW>(low, next_low);
            quads[i + 1] = _mm256_shuffle_ps::<HIGH>(low, next_low);
            quads[i + 2] = _mm256_shuffle_ps::<LOW>(high, next_high);
            quads[i + 3] = _mm256_shuffle_ps::<HIGH>(high, next_high);
        }
        let mut columns = quads;
        for i in 0..4 {
            columns[i] = _mm256_permute2f128_ps::<0x20>(quads[i], quads[4 + i]);
            columns[4 + i] = _mm256_permute2f128_ps::<0x31>(quads[i], quads[4 + i]);
        }
        columns
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
