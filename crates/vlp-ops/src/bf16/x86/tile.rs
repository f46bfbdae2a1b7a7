//! Some rows and columns of a result, in registers.

use std::arch::x86_64::*;

use super::pack::{self, COLUMNS, LANES, Line, RIGHT_CHUNK};
use super::unit::Unit;
use crate::bf16::Place;

const ROWS: usize = Unit::Vectors.rows();
const LEFT_CHUNK: usize = Unit::Vectors.left_chunk();

/// Pairs, panels, what to add (with the distance of its rows), the place, columns.
pub(super) type Tile =
    unsafe fn(usize, &[Line], &[Line], Option<(*const f32, usize)>, Place, usize);

/// The [`tile`] of as many rows.
pub(super) fn tile_of<const ROW: usize, const PAIR: usize>(rows: usize) -> Tile {
    match rows {
        1 => tile::<1, ROW, PAIR>,
        2 => tile::<2, ROW, PAIR>,
        3 => tile::<3, ROW, PAIR>,
        4 => tile::<4, ROW, PAIR>,
        5 => tile::<5, ROW, PAIR>,
        6 => tile::<6, ROW, PAIR>,
        7 => tile::<7, ROW, PAIR>,
        8 => tile::<8, ROW, PAIR>,
        9 => tile::<9, ROW, PAIR>,
        10 => tile::<10, ROW, PAIR>,
        11 => tile::<11, ROW, PAIR>,
        12 => tile::<12, ROW, PAIR>,
        13 => tile::<13, ROW, PAIR>,
        _ => tile::<ROWS, ROW, PAIR>,
    }
}

/// `N` rows of the result, whose sums stay in registers. In a chunk of `left` rows are `ROW` apart, pairs `PAIR`.
///
/// # Safety
/// As `Product::write`, of `place` and `columns` columns.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn tile<const N: usize, const ROW: usize, const PAIR: usize>(
    pairs: usize,
    left: &[Line],
    right: &[Line],
    start: Option<(*const f32, usize)>,
    place: Place,
    columns: usize,
) {
    const {
        assert!((N - 1) * ROW + (LANES - 1) * PAIR < LEFT_CHUNK * LANES);
    }
    let chunks = pairs.div_ceil(LANES);
    assert!(left.len() == chunks * LEFT_CHUNK && right.len() == chunks * RIGHT_CHUNK);
    let mut sums = [[_mm512_setzero_ps(); COLUMNS / LANES]; N];
    let (mut left, mut right) = (left.as_ptr().cast::<u32>(), right.as_ptr().cast::<u32>());
    for chunk in 0..chunks {
        for pair in 0..LANES.min(pairs - chunk * LANES) {
            // SAFETY: inside both chunks, by the assertions above. Their 32 bits are pairs of bf16.
            unsafe {
                let at = right.add(pair * COLUMNS);
                let columns: [__m512bh; COLUMNS / LANES] = [
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.cast())),
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(
                        at.add(LANES).cast(),
                    )),
                ];
                for (i, sums) in sums.iter_mut().enumerate() {
                    let value = *left.add(i * ROW + pair * PAIR);
                    let row = _mm512_set1_epi32(value.cast_signed());
                    let row = std::mem::transmute::<__m512i, __m512bh>(row);
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(*sum, row, column);
                    }
                }
            }
        }
        left = left.wrapping_add(LEFT_CHUNK * LANES);
        right = right.wrapping_add(RIGHT_CHUNK * LANES);
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            let mask = pack::mask(columns.saturating_sub(j * LANES));
            // SAFETY: lanes inside the columns alone are read and written.
            unsafe {
                let sum = match start {
                    Some((start, stride)) => {
                        let start = start.wrapping_add(i * stride + j * LANES);
                        _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, start))
                    }
                    None => *sum,
                };
                let at = place.at.wrapping_add(i * place.stride + j * LANES);
                _mm512_mask_storeu_ps(at, mask, sum);
            }
        }
    }
}
