//! Packs operands as pairs of bf16, in the order in which they are multiplied.
//!
//! A pair is two values that follow each other along the depth, the first in the low half of 32 bits. Beyond the end of the
//! depth there are zeros. Content beyond the last row or column is unspecified and never reaches a result.

use std::arch::x86_64::*;

use super::isa::MatmulIsa;
use super::layout::{COLUMNS, CacheLine, LANES, RIGHT_CHUNK_LINES};
use crate::cpu::matrix::Matrix;
use crate::cpu::matrix::transpose::x86::{lane_mask, transpose_block};

/// Rows by which a prefetch is ahead of the loads.
const PREFETCH_ROWS: usize = 16;

/// Number of chunks for `depth` values.
pub(crate) fn chunks(depth: usize) -> usize {
    depth.div_ceil(2 * LANES)
}

/// A panel of `[rows, depth]`, of at most [`MatmulIsa::panel_rows`] rows. Chunks are `[rows, pairs]` for AMX and where the
/// matrix is row-major, else `[pairs, rows]`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn left(
    isa: MatmulIsa,
    matrix: Matrix<'_>,
    [rows, depth]: [usize; 2],
    out: &mut [CacheLine],
) {
    if matrix.column_stride == 1 {
        return row_major(isa, matrix, [rows, depth], out);
    }
    match isa {
        MatmulIsa::Avx512 => rows_of_pairs::<LANES>(matrix.transposed(), [depth, rows], out),
        MatmulIsa::Amx => transposed_chunks(matrix.transposed(), [depth, rows], out),
    }
}

/// Chunks of `[rows, pairs]` of a matrix whose rows are neighboring values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn row_major(isa: MatmulIsa, matrix: Matrix<'_>, [rows, depth]: [usize; 2], out: &mut [CacheLine]) {
    for row in 0..rows {
        let values = matrix.offset(row, 0).values;
        for (i, chunk) in out.chunks_exact_mut(isa.left_chunk_lines()).enumerate() {
            let k = 2 * LANES * i;
            if k >= depth {
                break;
            }
            store(&mut chunk[row], pairs_of(&values[k..], 1, depth - k));
        }
    }
}

/// Chunks of `[columns, pairs]` of a matrix whose columns are closer to each other in memory than its rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn transposed_chunks(matrix: Matrix<'_>, [depth, columns]: [usize; 2], out: &mut [CacheLine]) {
    let chunk_lines = MatmulIsa::Amx.left_chunk_lines();
    for (i, chunk) in out.chunks_exact_mut(chunk_lines).enumerate() {
        let k = 2 * LANES * i;
        if k >= depth {
            break;
        }
        for (first, chunk) in (0..columns)
            .step_by(LANES)
            .zip(chunk.chunks_exact_mut(LANES))
        {
            let mut block = [_mm512_setzero_si512(); LANES];
            let pairs = (depth - k).div_ceil(2);
            for (pair, line) in block.iter_mut().enumerate().take(pairs) {
                let k = k + 2 * pair;
                *line = pair_of_rows(matrix.offset(k, first), [depth - k, columns - first]);
            }
            for (row, line) in chunk.iter_mut().zip(transpose_block(block)) {
                store(row, line);
            }
        }
    }
}

/// A panel of `[depth, columns]`, of at most [`COLUMNS`] columns: chunks of `[pairs, columns]`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn right(matrix: Matrix<'_>, [depth, columns]: [usize; 2], out: &mut [CacheLine]) {
    if matrix.column_stride == 1 {
        return rows_of_pairs::<COLUMNS>(matrix, [depth, columns], out);
    }
    for (i, chunk) in out.chunks_exact_mut(RIGHT_CHUNK_LINES).enumerate() {
        let k = 2 * LANES * i;
        if k >= depth {
            break;
        }
        for first in (0..columns).step_by(LANES) {
            let mut block = [_mm512_setzero_si512(); LANES];
            let count = LANES.min(columns - first);
            for (i, line) in block.iter_mut().enumerate().take(count) {
                let column = matrix.offset(k, first + i);
                prefetch(column.values, LANES * column.column_stride);
                *line = pairs_of(column.values, column.row_stride, depth - k);
            }
            let rows = chunk.chunks_exact_mut(COLUMNS / LANES);
            for (row, line) in rows.zip(transpose_block(block)) {
                store(&mut row[first / LANES], line);
            }
        }
    }
}

/// Pairs of rows of a matrix in each of `WIDTH` columns; zeros after the last row, up to the end of its chunk.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn rows_of_pairs<const WIDTH: usize>(
    matrix: Matrix<'_>,
    [depth, columns]: [usize; 2],
    out: &mut [CacheLine],
) {
    let rows = out.chunks_exact_mut(WIDTH / LANES).enumerate();
    for (i, out) in rows.take(chunks(depth) * LANES) {
        let k = 2 * i;
        for (first, out) in (0..WIDTH).step_by(LANES).zip(out) {
            let mut pairs = _mm512_setzero_si512();
            if k < depth && first < columns {
                pairs = pair_of_rows(matrix.offset(k, first), [depth - k, columns - first]);
            }
            store(out, pairs);
        }
    }
}

/// The first two of `depth` rows as pairs, in at most 16 columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pair_of_rows(matrix: Matrix<'_>, [depth, columns]: [usize; 2]) -> __m512i {
    let mut rows = [_mm512_setzero_ps(); 2];
    for (i, values) in rows.iter_mut().enumerate().take(depth) {
        let row = matrix.offset(i, 0);
        prefetch(row.values, PREFETCH_ROWS * row.row_stride);
        *values = load(row.values, row.column_stride, columns);
    }
    interleave(rows)
}

/// Up to 32 values at distances of `stride`, as pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs_of(values: &[f32], stride: usize, count: usize) -> __m512i {
    let low = load(values, stride, count);
    let high = match count > LANES {
        true => load(&values[LANES * stride..], stride, count - LANES),
        false => _mm512_setzero_ps(),
    };
    bits(_mm512_cvtne2ps_pbh(high, low))
}

/// A pair in each lane, of the first and the second values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn interleave([first, second]: [__m512; 2]) -> __m512i {
    /// Alternates between the lower half, the first values, and the upper half.
    const ORDER: [u16; 2 * LANES] = {
        let mut order = [0; 2 * LANES];
        let mut i = 0;
        while i < order.len() {
            order[i] = (i / 2 + i % 2 * LANES) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the load reads the 64 bytes of `ORDER`.
    #[allow(unsafe_code)]
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, bits(_mm512_cvtne2ps_pbh(second, first)))
}

/// Up to `count` values, at most 16, at distances of `stride`; zeros after them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn load(values: &[f32], stride: usize, count: usize) -> __m512 {
    let count = count.min(LANES);
    if stride == 1 {
        let values = &values[..count];
        // SAFETY: the mask selects `count` values, the length of the slice.
        #[allow(unsafe_code)]
        return unsafe { _mm512_maskz_loadu_ps(lane_mask(count), values.as_ptr()) };
    }
    if count == 0 {
        return _mm512_setzero_ps();
    }
    assert!((count - 1) * stride < values.len() && LANES * stride <= i32::MAX as usize);
    let offsets = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        _mm512_set1_epi32(stride as i32),
    );
    // SAFETY: the last selected value is inside the slice, and all offsets fit 32 bits (asserted).
    #[allow(unsafe_code)]
    unsafe {
        let zeros = _mm512_setzero_ps();
        _mm512_mask_i32gather_ps::<4>(zeros, lane_mask(count), offsets, values.as_ptr().cast())
    }
}

/// Prefetches the values at `distance`: rows are too short for the hardware prefetcher to reach the next one in time.
#[inline(always)]
fn prefetch(values: &[f32], distance: usize) {
    let ptr = values.as_ptr().wrapping_add(distance);
    // SAFETY: a prefetch of an invalid address does nothing.
    #[allow(unsafe_code)]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(ptr.cast());
        _mm_prefetch::<_MM_HINT_T0>(ptr.wrapping_add(LANES).cast());
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut CacheLine, lanes: __m512i) {
    // SAFETY: a cache line is as long as a vector and aligned to it.
    #[allow(unsafe_code)]
    unsafe {
        _mm512_store_si512((&raw mut out.0).cast(), lanes);
    }
}

/// Up to 32 values at distances of `stride`, as pairs; zeros after them.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) fn line(values: &[f32], stride: usize, count: usize, out: &mut CacheLine) {
    store(out, pairs_of(values, stride, count));
}

/// A panel of the right operand: chunks of `[pairs, columns]`, of 32 columns of `chunks` cache lines each, `stride` lines
/// apart.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) fn transposed_lines(columns: &[CacheLine], stride: usize, out: &mut [CacheLine]) {
    for (i, chunk) in out.chunks_exact_mut(RIGHT_CHUNK_LINES).enumerate() {
        for first in (0..COLUMNS).step_by(LANES) {
            let mut block = [_mm512_setzero_si512(); LANES];
            for (column, line) in block.iter_mut().enumerate() {
                let values = &columns[(first + column) * stride + i];
                // SAFETY: a cache line is as long as a vector and aligned to it.
                #[allow(unsafe_code)]
                unsafe {
                    *line = _mm512_load_si512((&raw const values.0).cast());
                }
            }
            let rows = chunk.chunks_exact_mut(COLUMNS / LANES);
            for (row, line) in rows.zip(transpose_block(block)) {
                store(&mut row[first / LANES], line);
            }
        }
    }
}

/// The same bits as integers: the type of pairs of bf16 has no operation but multiplication.
#[inline]
#[target_feature(enable = "avx512f")]
fn bits(pairs: __m512bh) -> __m512i {
    // SAFETY: both types are 512 bits of plain data.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::transmute(pairs)
    }
}
