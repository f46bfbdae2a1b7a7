//! Blocks of a result in the tile registers of AMX.

use std::arch::asm;
use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::amx::{self, LeftTiles};
use super::isa::MatmulIsa;
use super::layout::{COLUMNS, CacheLine, LANES, RIGHT_CHUNK_LINES};
use crate::cpu::matrix::OutPtr;
use crate::cpu::matrix::transpose::x86::lane_mask;

/// Rows and columns of a block: two by two tiles.
pub(crate) const EDGE: usize = 2 * LANES;
/// Cache lines of a chunk of a packed operand, left or right.
pub(crate) const CHUNK_LINES: usize = MatmulIsa::Amx.left_chunk_lines();
const _: () = assert!(
    CHUNK_LINES == RIGHT_CHUNK_LINES && EDGE == COLUMNS && EDGE == MatmulIsa::Amx.panel_rows()
);

/// While a session lives, the tile registers of its thread are configured: 16 rows of 64 bytes each. A thread has at
/// most one. No rayon work may be started or waited for meanwhile: a stolen task could configure or release the tiles.
pub(crate) struct AmxSession(PhantomData<*const ()>);

impl AmxSession {
    /// # Safety
    /// [`MatmulIsa::current`] must be [`MatmulIsa::Amx`], and no other session may exist on this thread.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn new() -> Self {
        #[repr(C, align(64))]
        struct TileConfig {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            bytes_per_row: [u16; 16],
            rows: [u8; 16],
        }
        static CONFIG: TileConfig = {
            let (mut bytes_per_row, mut rows) = ([0; 16], [0; 16]);
            let mut i = 0;
            while i < 8 {
                bytes_per_row[i] = size_of::<CacheLine>() as u16;
                rows[i] = LANES as u8;
                i += 1;
            }
            TileConfig {
                palette: 1,
                start_row: 0,
                reserved: [0; 14],
                bytes_per_row,
                rows,
            }
        };
        // SAFETY: the process may use AMX (guaranteed by the caller); the instruction reads the 64 bytes of `CONFIG`.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
        Self(PhantomData)
    }

    /// A panel of `rows` rows times one of `columns` columns, plus `start` (a pointer and its row stride), to `out`.
    ///
    /// # Safety
    /// `rows` rows of `columns` values must be valid for reads at `start`, if it is given, and for writes at `out`; no
    /// other task may access those at `out` during the call.
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn multiply(
        &self,
        [rows, columns]: [usize; 2],
        left: &[CacheLine],
        right: &[CacheLine],
        start: Option<(*const f32, usize)>,
        out: OutPtr,
    ) {
        let chunks = left.len() / CHUNK_LINES;
        assert!(left.len() == chunks * CHUNK_LINES && right.len() == left.len());
        assert!(chunks > 0 && rows <= EDGE && columns <= EDGE);
        let left = LeftTiles::packed(left);
        let in_place = start == Some((out.ptr.cast_const(), out.stride));
        if [rows, columns] == [EDGE; 2] && (start.is_none() || in_place) {
            // SAFETY: `out` has 32 rows of 32 values (guaranteed by the caller); both operands have `chunks` chunks
            // (asserted).
            return unsafe { amx::multiply_block(chunks, left, right, out, in_place) };
        }
        // Partial blocks, and sums that start elsewhere, go through a buffer.
        let mut buffer = [CacheLine::default(); EDGE * EDGE / LANES];
        let block = OutPtr {
            ptr: buffer.as_mut_ptr().cast(),
            stride: EDGE,
        };
        // SAFETY: `buffer` has 32 rows of 32 values; the copies access `rows` rows of `columns` values, as the caller
        // guarantees.
        unsafe {
            if let Some((start, stride)) = start {
                copy_block([rows, columns], (start, stride), block);
            }
            match rows <= LANES {
                true => amx::multiply_half_block(chunks, left, right, block, start.is_some()),
                false => amx::multiply_block(chunks, left, right, block, start.is_some()),
            }
            copy_block([rows, columns], (block.ptr, block.stride), out);
        }
    }

    /// A block: 32 rows of `left`, packed, times chunks of `right` (a pointer and its row stride in pairs), one at each of
    /// `offsets`.
    ///
    /// # Safety
    /// At each offset of `right`, 16 rows of 32 pairs must be valid for reads. `out` must have 32 rows of 32 values that are
    /// valid for writes and are not accessed by another task during the call.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn multiply_at_offsets(
        &self,
        left: &[CacheLine],
        right: (*const u32, usize),
        offsets: &[usize],
        out: OutPtr,
    ) {
        assert!(left.len() == offsets.len() * CHUNK_LINES && !offsets.is_empty());
        // SAFETY: guaranteed by the caller; the left operand has a chunk for each offset (asserted).
        unsafe { amx::multiply_at_offsets(left, right, offsets, out) };
    }

    /// A block: 32 rows of `left` (a pointer and its row stride in values) times `right`, packed; added to `out` if `add`.
    ///
    /// # Safety
    /// 32 rows of `left`, as long as `right` is deep, must be valid for reads. `out` must have 32 rows of 32 values that are
    /// valid for writes, are initialized if `add`, and are not accessed by another task during the call.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn multiply_rows(
        &self,
        (left, stride): (*const u16, usize),
        right: &[CacheLine],
        out: OutPtr,
        add: bool,
    ) {
        let chunks = right.len() / CHUNK_LINES;
        assert!(right.len() == chunks * CHUNK_LINES && chunks > 0);
        // SAFETY: the caller guarantees the requirements.
        unsafe { amx::multiply_block(chunks, LeftTiles::rows(left, stride), right, out, add) };
    }
}

impl Drop for AmxSession {
    fn drop(&mut self) {
        // SAFETY: a session exists only where the process may use AMX. Without this the system would save the tiles at each
        // context switch.
        #[allow(unsafe_code)]
        unsafe {
            asm!("tilerelease", options(nostack, nomem));
        }
    }
}

/// # Safety
/// The processor must have AVX-512F. `rows` rows of `columns` values must be valid for reads at `from` and for writes at
/// `to`.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn copy_block([rows, columns]: [usize; 2], (from, stride): (*const f32, usize), to: OutPtr) {
    for row in 0..rows {
        for first in (0..columns).step_by(LANES) {
            let mask = lane_mask(columns - first);
            // SAFETY: the masked lanes are inside the columns; guaranteed by the caller.
            unsafe {
                let values = _mm512_maskz_loadu_ps(mask, from.wrapping_add(row * stride + first));
                _mm512_mask_storeu_ps(to.offset(row, first).ptr, mask, values);
            }
        }
    }
}
