//! Rows and columns that change places: sixteen by sixteen in registers where the processor has AVX-512.

use crate::matrix::Matrix;

/// Rows and columns of a square.
pub(crate) const SIDE: usize = 16;

/// Writes `rows` rows of `columns` values, which lie side by side, as columns: into `columns` rows of `out`, which are `stride`
/// apart.
#[inline(always)]
pub(crate) fn turn(from: Matrix<'_>, [rows, columns]: [usize; 2], out: &mut [f32], stride: usize) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(from.column_stride == 1);
    from.check(rows, columns);
    assert!((columns - 1) * stride + rows <= out.len());
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions; all rows lie inside (asserted).
        #[allow(unsafe_code)]
        return unsafe { x86::turn(from, [rows, columns], out, stride) };
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
    use crate::matrix::Matrix;

    /// # Safety
    /// `rows` rows of `columns` values may be read, and their columns written as rows.
    #[target_feature(enable = "avx512f")]
    #[allow(unsafe_code)]
    pub(super) unsafe fn turn(
        from: Matrix<'_>,
        [rows, columns]: [usize; 2],
        out: &mut [f32],
        stride: usize,
    ) {
        let mask = |count: usize| ((1u32 << count.min(SIDE)) - 1) as u16;
        for first in (0..rows).step_by(SIDE) {
            let count = SIDE.min(rows - first);
            for column in (0..columns).step_by(SIDE) {
                let width = SIDE.min(columns - column);
                let mut lines = [_mm512_setzero_si512(); SIDE];
                for (row, line) in lines.iter_mut().enumerate().take(count) {
                    let at = (first + row) * from.row_stride + column;
                    // SAFETY: the caller's.
                    unsafe {
                        let at = from.values.as_ptr().add(at);
                        *line = _mm512_maskz_loadu_epi32(mask(width), at.cast());
                    }
                }
                for (i, line) in square(lines).into_iter().enumerate().take(width) {
                    let at = (column + i) * stride + first;
                    // SAFETY: the caller's.
                    unsafe {
                        let at = out.as_mut_ptr().add(at);
                        _mm512_mask_storeu_epi32(at.cast(), mask(count), line);
                    }
                }
            }
        }
    }

    /// Rows and columns of 32 bits change places: within squares of four first, then the squares.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn square(rows: [__m512i; SIDE]) -> [__m512i; SIDE] {
        let mut twos = rows;
        for i in (0..SIDE).step_by(2) {
            twos[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            twos[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        // In the four quarters of row 4 i + q: columns q, 4 + q, 8 + q and 12 + q of rows 4 i to 4 i + 3.
        let mut fours = twos;
        for i in (0..SIDE).step_by(4) {
            for j in 0..2 {
                fours[i + 2 * j] = _mm512_unpacklo_epi64(twos[i + j], twos[i + j + 2]);
                fours[i + 2 * j + 1] = _mm512_unpackhi_epi64(twos[i + j], twos[i + j + 2]);
            }
        }
        /// Quarters 0 and 2 of both operands, and quarters 1 and 3.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let mut columns = fours;
        for q in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|i| fours[i + q]);
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
            let (wide, high) = (columns + 2, rows + 3);
            let values: Vec<f32> = (0..rows * wide).map(|i| i as f32).collect();
            let mut out = vec![-1.0; columns * high];
            let from = Matrix::of_rows(&values, wide);
            turn(from, [rows, columns], &mut out, high);
            for (i, value) in out.iter().enumerate() {
                let (column, row) = (i / high, i % high);
                let expected = match row < rows {
                    true => (row * wide + column) as f32,
                    false => -1.0,
                };
                assert_eq!(*value, expected, "{rows} x {columns}, {row}, {column}");
            }
        }
    }
}
