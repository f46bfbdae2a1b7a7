//! Blocks of a result in vector registers.

use std::arch::x86_64::*;

use super::isa::MatmulIsa;
use super::layout::{COLUMNS, CacheLine, LANES, RIGHT_CHUNK_LINES};
use crate::cpu::matrix::OutPtr;
use crate::cpu::matrix::transpose::x86::lane_mask;

const ROWS: usize = MatmulIsa::Avx512.panel_rows();
const LEFT_CHUNK_LINES: usize = MatmulIsa::Avx512.left_chunk_lines();

/// Number of pairs, panels, values to add (a pointer and its row stride), output, number of columns.
///
/// # Safety
/// The requirements of [`multiply_panel`] must hold.
pub(super) type PanelKernel =
    unsafe fn(usize, &[CacheLine], &[CacheLine], Option<(*const f32, usize)>, OutPtr, usize);

/// The [`multiply_panel`] of as many rows.
pub(super) fn panel_kernel<const ROW: usize, const PAIR: usize>(rows: usize) -> PanelKernel {
    match rows {
        1 => multiply_panel::<1, ROW, PAIR>,
        2 => multiply_panel::<2, ROW, PAIR>,
        3 => multiply_panel::<3, ROW, PAIR>,
        4 => multiply_panel::<4, ROW, PAIR>,
        5 => multiply_panel::<5, ROW, PAIR>,
        6 => multiply_panel::<6, ROW, PAIR>,
        7 => multiply_panel::<7, ROW, PAIR>,
        8 => multiply_panel::<8, ROW, PAIR>,
        9 => multiply_panel::<9, ROW, PAIR>,
        10 => multiply_panel::<10, ROW, PAIR>,
        11 => multiply_panel::<11, ROW, PAIR>,
        12 => multiply_panel::<12, ROW, PAIR>,
        13 => multiply_panel::<13, ROW, PAIR>,
        _ => multiply_panel::<ROWS, ROW, PAIR>,
    }
}

/// `N` rows of the result, whose sums stay in registers. In a chunk of `left`, rows are `ROW` values apart and pairs `PAIR`
/// values.
///
/// # Safety
/// The processor must have AVX-512 F, BW and BF16. `N` rows of `columns` values must be valid for reads at `start` and for
/// writes at `out`, and no other task may access those at `out` during the call.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn multiply_panel<const N: usize, const ROW: usize, const PAIR: usize>(
    pairs: usize,
    left: &[CacheLine],
    right: &[CacheLine],
    start: Option<(*const f32, usize)>,
    out: OutPtr,
    columns: usize,
) {
    const {
        assert!((N - 1) * ROW + (LANES - 1) * PAIR < LEFT_CHUNK_LINES * LANES);
    }
    let chunks = pairs.div_ceil(LANES);
    assert!(left.len() == chunks * LEFT_CHUNK_LINES && right.len() == chunks * RIGHT_CHUNK_LINES);
    let mut sums = [[_mm512_setzero_ps(); COLUMNS / LANES]; N];
    let (mut left, mut right) = (left.as_ptr().cast::<u32>(), right.as_ptr().cast::<u32>());
    for chunk in 0..chunks {
        for pair in 0..LANES.min(pairs - chunk * LANES) {
            // SAFETY: the reads are inside the chunks, whose numbers were asserted above; their 32 bits are pairs of bf16.
            unsafe {
                let right = right.add(pair * COLUMNS);
                let columns: [__m512bh; COLUMNS / LANES] = [
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(right.cast())),
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(
                        right.add(LANES).cast(),
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
        left = left.wrapping_add(LEFT_CHUNK_LINES * LANES);
        right = right.wrapping_add(RIGHT_CHUNK_LINES * LANES);
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            let mask = lane_mask(columns.saturating_sub(j * LANES));
            // SAFETY: the masked lanes are inside the columns; guaranteed by the caller.
            unsafe {
                let sum = match start {
                    Some((start, stride)) => {
                        let start = start.wrapping_add(i * stride + j * LANES);
                        _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, start))
                    }
                    None => *sum,
                };
                _mm512_mask_storeu_ps(out.offset(i, j * LANES).ptr, mask, sum);
            }
        }
    }
}
