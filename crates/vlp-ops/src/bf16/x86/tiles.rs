//! Some rows and columns of a result, in AMX's tiles.

use std::arch::asm;
use std::arch::x86_64::*;

use super::pack::{self, COLUMNS, LANES, Line, RIGHT_CHUNK};
use super::unit::Unit;
use crate::bf16::Place;

const LEFT_CHUNK: usize = Unit::Tiles.left_chunk();
/// Bytes from a tile's row to the next: in a chunk of the left operand, and in one of the right, where two lie side by side.
const LEFT_STRIDE: usize = LANES * size_of::<u32>();
const RIGHT_STRIDE: usize = COLUMNS * size_of::<u32>();

/// As long as it lives, this thread's tiles have 16 rows of 64 bytes.
pub(super) struct Tiles(());

impl Tiles {
    /// # Safety
    /// [`Unit::here`] is [`Unit::Tiles`].
    #[allow(unsafe_code)]
    pub(super) unsafe fn new() -> Self {
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start: u8,
            reserved: [u8; 14],
            /// Bytes of a row.
            widths: [u16; 16],
            rows: [u8; 16],
        }
        static ALL: Config = {
            let (mut widths, mut rows) = ([0; 16], [0; 16]);
            let mut i = 0;
            while i < 8 {
                widths[i] = LEFT_STRIDE as u16;
                rows[i] = LANES as u8;
                i += 1;
            }
            Config {
                palette: 1,
                start: 0,
                reserved: [0; 14],
                widths,
                rows,
            }
        };
        // SAFETY: the caller's; 64 bytes are read.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const ALL, options(nostack, readonly)) };
        Self(())
    }

    /// As the `tile` of vectors, of `rows` rows.
    ///
    /// # Safety
    /// As `Product::write`, of `place` with `rows` rows and `columns` columns.
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn multiply(
        &self,
        [rows, columns]: [usize; 2],
        left: &[Line],
        right: &[Line],
        start: Option<(*const f32, usize)>,
        place: Place,
    ) {
        let chunks = left.len() / LEFT_CHUNK;
        assert!(left.len() == chunks * LEFT_CHUNK && right.len() == chunks * RIGHT_CHUNK);
        assert!(chunks > 0 && rows <= 2 * LANES && columns <= COLUMNS);
        let there = start == Some((place.at.cast_const(), place.stride));
        if [rows, columns] == [2 * LANES, COLUMNS] && (start.is_none() || there) {
            // SAFETY: the caller's.
            return unsafe { both(chunks, left, right, place, there) };
        }
        // Parts of tiles, and what does not lie where the result is to be, go through a place of their own.
        let mut sums = [[0.0f32; COLUMNS]; 2 * LANES];
        let own = Place {
            at: sums.as_mut_ptr().cast(),
            stride: COLUMNS,
        };
        // SAFETY: lanes inside the columns alone are read and written; `own` has all rows and columns.
        unsafe {
            if let Some((start, stride)) = start {
                copy([rows, columns], (start, stride), own);
            }
            match rows <= LANES {
                true => upper(chunks, left, right, own, start.is_some()),
                false => both(chunks, left, right, own, start.is_some()),
            }
            copy([rows, columns], (own.at, own.stride), place);
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there are tiles, or this would not be. Without it the system would keep their state at each switch.
        #[allow(unsafe_code)]
        unsafe {
            asm!("tilerelease", options(nostack, nomem));
        }
    }
}

/// # Safety
/// `columns` values of each row may be read at `from` and written at `place`.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn copy([rows, columns]: [usize; 2], (from, stride): (*const f32, usize), place: Place) {
    for row in 0..rows {
        for first in (0..columns).step_by(LANES) {
            let mask = pack::mask(columns - first);
            // SAFETY: lanes inside the columns alone are read and written.
            unsafe {
                let values = _mm512_maskz_loadu_ps(mask, from.wrapping_add(row * stride + first));
                let at = place.at.wrapping_add(row * place.stride + first);
                _mm512_mask_storeu_ps(at, mask, values);
            }
        }
    }
}

/// Two by two tiles of sums, added to what lies at `place` if `add`.
///
/// # Safety
/// `place` has 32 rows of 32 values; both operands have as many chunks; the thread's tiles are set.
#[allow(unsafe_code)]
unsafe fn both(chunks: usize, left: &[Line], right: &[Line], place: Place, add: bool) {
    let stride = place.stride * size_of::<f32>();
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 2f",
            "tileloadd tmm0, [{at} + {stride}]",
            "tileloadd tmm1, [{at} + {stride} + 64]",
            "tileloadd tmm2, [{lower} + {stride}]",
            "tileloadd tmm3, [{lower} + {stride} + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "tileloadd tmm4, [{left} + {left_stride}]",
            "tileloadd tmm6, [{right} + {right_stride}]",
            "tileloadd tmm7, [{right} + {right_stride} + 64]",
            "tileloadd tmm5, [{left} + {left_stride} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, 2048",
            "add {right}, 2048",
            "dec {chunks}",
            "jnz 3b",
            "tilestored [{at} + {stride}], tmm0",
            "tilestored [{at} + {stride} + 64], tmm1",
            "tilestored [{lower} + {stride}], tmm2",
            "tilestored [{lower} + {stride} + 64], tmm3",
            add = in(reg) u32::from(add),
            at = in(reg) place.at,
            lower = in(reg) place.at.wrapping_add(LANES * place.stride),
            stride = in(reg) stride,
            left = inout(reg) left.as_ptr() => _,
            left_stride = in(reg) LEFT_STRIDE,
            right = inout(reg) right.as_ptr() => _,
            right_stride = in(reg) RIGHT_STRIDE,
            chunks = inout(reg) chunks => _,
            options(nostack),
        );
    }
}

/// As [`both`], of the upper 16 rows alone.
///
/// # Safety
/// As [`both`].
#[allow(unsafe_code)]
unsafe fn upper(chunks: usize, left: &[Line], right: &[Line], place: Place, add: bool) {
    let stride = place.stride * size_of::<f32>();
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 2f",
            "tileloadd tmm0, [{at} + {stride}]",
            "tileloadd tmm1, [{at} + {stride} + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "3:",
            "tileloadd tmm4, [{left} + {left_stride}]",
            "tileloadd tmm6, [{right} + {right_stride}]",
            "tileloadd tmm7, [{right} + {right_stride} + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "add {left}, 2048",
            "add {right}, 2048",
            "dec {chunks}",
            "jnz 3b",
            "tilestored [{at} + {stride}], tmm0",
            "tilestored [{at} + {stride} + 64], tmm1",
            add = in(reg) u32::from(add),
            at = in(reg) place.at,
            stride = in(reg) stride,
            left = inout(reg) left.as_ptr() => _,
            left_stride = in(reg) LEFT_STRIDE,
            right = inout(reg) right.as_ptr() => _,
            right_stride = in(reg) RIGHT_STRIDE,
            chunks = inout(reg) chunks => _,
            options(nostack),
        );
    }
}
