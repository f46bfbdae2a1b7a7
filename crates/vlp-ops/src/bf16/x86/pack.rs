//! Operands of a product as pairs of bf16, in the order in which they are multiplied.
//!
//! A pair is two values that follow each other along the depth, the first in the low half of 32 bits. What lies beyond
//! the end of the depth is zero, what lies beyond the last row or column anything: none of it reaches a result.

use std::arch::x86_64::*;

use super::unit::Unit;
use crate::matrix::Matrix;
use crate::square::x86::square;

/// Columns of a panel of the right operand.
pub(super) const COLUMNS: usize = 2 * LANES;
/// Values of a vector, and pairs of a chunk: panels are chunks one after the other.
pub(crate) const LANES: usize = 16;
/// Rows that are read some time after they are asked for.
const AHEAD: usize = 16;
/// Lines of a chunk of a panel of the right operand: pairs times columns.
pub(super) const RIGHT_CHUNK: usize = COLUMNS;

/// Pairs of a vector, in a line of the cache: tiles are read three times as fast where no line ends in a row.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; LANES]);

/// Chunks that hold `depth` values.
pub(crate) fn chunks(depth: usize) -> usize {
    depth.div_ceil(2 * LANES)
}

/// A panel of `[rows, depth]`, at most [`Unit::rows`]: chunks of `[rows, pairs]` for tiles and where the depth runs along
/// the memory, else of `[pairs, rows]`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn left(unit: Unit, matrix: Matrix<'_>, [rows, depth]: [usize; 2], out: &mut [Line]) {
    if matrix.column_stride == 1 {
        return along(unit, matrix, [rows, depth], out);
    }
    match unit {
        Unit::Vectors => across::<LANES>(matrix.turned(), [depth, rows], out),
        Unit::Tiles => turned(matrix.turned(), [depth, rows], out),
    }
}

/// Rows whose values lie side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn along(unit: Unit, matrix: Matrix<'_>, [rows, depth]: [usize; 2], out: &mut [Line]) {
    for row in 0..rows {
        let values = matrix.from(row, 0).values;
        for (i, chunk) in out.chunks_exact_mut(unit.left_chunk()).enumerate() {
            let k = 2 * LANES * i;
            if k >= depth {
                break;
            }
            store(&mut chunk[row], pairs_of(&values[k..], 1, depth - k));
        }
    }
}

/// Chunks of `[columns, pairs]` of a matrix whose columns are nearer to each other than its rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn turned(matrix: Matrix<'_>, [depth, columns]: [usize; 2], out: &mut [Line]) {
    for (i, chunk) in out.chunks_exact_mut(Unit::Tiles.left_chunk()).enumerate() {
        let k = 2 * LANES * i;
        if k >= depth {
            break;
        }
        for (first, chunk) in (0..columns)
            .step_by(LANES)
            .zip(chunk.chunks_exact_mut(LANES))
        {
            let mut lines = [_mm512_setzero_si512(); LANES];
            for (pair, line) in lines.iter_mut().enumerate().take((depth - k).div_ceil(2)) {
                let k = k + 2 * pair;
                *line = pair_of_rows(matrix.from(k, first), [depth - k, columns - first]);
            }
            for (row, line) in chunk.iter_mut().zip(square(lines)) {
                store(row, line);
            }
        }
    }
}

/// A panel of `[depth, columns]`, at most [`COLUMNS`]: chunks of `[pairs, columns]`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn right(matrix: Matrix<'_>, [depth, columns]: [usize; 2], out: &mut [Line]) {
    if matrix.column_stride == 1 {
        return across::<COLUMNS>(matrix, [depth, columns], out);
    }
    for (i, chunk) in out.chunks_exact_mut(RIGHT_CHUNK).enumerate() {
        let k = 2 * LANES * i;
        if k >= depth {
            break;
        }
        for first in (0..columns).step_by(LANES) {
            let mut lines = [_mm512_setzero_si512(); LANES];
            let count = LANES.min(columns - first);
            for (i, line) in lines.iter_mut().enumerate().take(count) {
                let values = matrix.from(k, first + i);
                fetch(values.values, LANES * values.column_stride);
                *line = pairs_of(values.values, values.row_stride, depth - k);
            }
            for (row, line) in chunk.chunks_exact_mut(COLUMNS / LANES).zip(square(lines)) {
                store(&mut row[first / LANES], line);
            }
        }
    }
}

/// Rows of a matrix, two by two: a pair in each of `WIDTH` columns, zeros behind the last up to the end of its chunk.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn across<const WIDTH: usize>(matrix: Matrix<'_>, [depth, columns]: [usize; 2], out: &mut [Line]) {
    let rows = out.chunks_exact_mut(WIDTH / LANES).enumerate();
    for (i, out) in rows.take(chunks(depth) * LANES) {
        let k = 2 * i;
        for (first, out) in (0..WIDTH).step_by(LANES).zip(out) {
            let mut pairs = _mm512_setzero_si512();
            if k < depth && first < columns {
                pairs = pair_of_rows(matrix.from(k, first), [depth - k, columns - first]);
            }
            store(out, pairs);
        }
    }
}

/// The first two of `depth` rows as pairs, of a vector's columns at most.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pair_of_rows(matrix: Matrix<'_>, [depth, columns]: [usize; 2]) -> __m512i {
    let mut halves = [_mm512_setzero_ps(); 2];
    for (i, half) in halves.iter_mut().enumerate().take(depth) {
        let row = matrix.from(i, 0);
        fetch(row.values, AHEAD * row.row_stride);
        *half = load(row.values, row.column_stride, columns);
    }
    zip(halves)
}

/// Up to two vectors of values at distances of `stride`, as pairs.
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

/// A pair in each lane, from the first and the second values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn zip([first, second]: [__m512; 2]) -> __m512i {
    /// In turns from the lower half, of the first values, and from the upper.
    const ORDER: [u16; 2 * LANES] = {
        let mut order = [0; 2 * LANES];
        let mut i = 0;
        while i < order.len() {
            order[i] = (i / 2 + i % 2 * LANES) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: 64 bytes are read.
    #[allow(unsafe_code)]
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, bits(_mm512_cvtne2ps_pbh(second, first)))
}

/// Up to `count` values, no more than a vector, at distances of `stride`; zeros behind.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn load(values: &[f32], stride: usize, count: usize) -> __m512 {
    let count = count.min(LANES);
    if stride == 1 {
        let values = &values[..count];
        // SAFETY: lanes of values alone are read.
        #[allow(unsafe_code)]
        return unsafe { _mm512_maskz_loadu_ps(mask(count), values.as_ptr()) };
    }
    if count == 0 {
        return _mm512_setzero_ps();
    }
    assert!((count - 1) * stride < values.len() && LANES * stride <= i32::MAX as usize);
    let places = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        _mm512_set1_epi32(stride as i32),
    );
    // SAFETY: the last value lies inside, and the distance in 32 bits (asserted).
    #[allow(unsafe_code)]
    unsafe {
        let zeros = _mm512_setzero_ps();
        _mm512_mask_i32gather_ps::<4>(zeros, mask(count), places, values.as_ptr().cast())
    }
}

/// Has the values that lie `distance` on brought to the cache: rows are too short for the processor to foresee the next.
#[inline(always)]
fn fetch(values: &[f32], distance: usize) {
    let at = values.as_ptr().wrapping_add(distance);
    // SAFETY: what lies nowhere is not brought.
    #[allow(unsafe_code)]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(LANES).cast());
    }
}

/// The first `count` lanes.
pub(super) fn mask(count: usize) -> u16 {
    ((1u32 << count.min(LANES)) - 1) as u16
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut Line, lanes: __m512i) {
    // SAFETY: a line is a vector.
    #[allow(unsafe_code)]
    unsafe {
        _mm512_store_si512((&raw mut out.0).cast(), lanes);
    }
}

/// Up to 32 values at distances of `stride`, as pairs; zeros behind.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) fn line(values: &[f32], stride: usize, count: usize, out: &mut Line) {
    store(out, pairs_of(values, stride, count));
}

/// A panel of the right operand: chunks of `[pairs, columns]` from 32 columns of `chunks` lines each, `stride` lines apart.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) fn turned_lines(columns: &[Line], stride: usize, out: &mut [Line]) {
    for (i, chunk) in out.chunks_exact_mut(RIGHT_CHUNK).enumerate() {
        for first in (0..COLUMNS).step_by(LANES) {
            let mut lines = [_mm512_setzero_si512(); LANES];
            for (column, line) in lines.iter_mut().enumerate() {
                let values = &columns[(first + column) * stride + i];
                // SAFETY: a line is a vector.
                #[allow(unsafe_code)]
                unsafe {
                    *line = _mm512_load_si512((&raw const values.0).cast());
                }
            }
            for (row, line) in chunk.chunks_exact_mut(COLUMNS / LANES).zip(square(lines)) {
                store(&mut row[first / LANES], line);
            }
        }
    }
}

/// The same bits: the type of pairs of bf16 has no operations but the product's.
#[inline]
#[target_feature(enable = "avx512f")]
fn bits(pairs: __m512bh) -> __m512i {
    // SAFETY: both are 512 bits without a meaning of their own.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::transmute(pairs)
    }
}
