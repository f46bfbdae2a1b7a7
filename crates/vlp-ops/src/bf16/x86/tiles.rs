//! Some rows and columns of a result, in AMX's tiles.

use std::arch::asm;
use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::amx::{self, Left};
use super::pack::{self, COLUMNS, LANES, Line, RIGHT_CHUNK};
use super::unit::Unit;
use crate::bf16::Place;

/// Rows and columns of a block: two by two tiles.
pub(crate) const EDGE: usize = 2 * LANES;
/// Lines of a chunk of a packed operand, left or right.
pub(crate) const CHUNK: usize = Unit::Tiles.left_chunk();
const _: () = assert!(CHUNK == RIGHT_CHUNK && EDGE == COLUMNS && EDGE == Unit::Tiles.rows());

/// As long as it lives, this thread's tiles have 16 rows of 64 bytes. A second one, or a task of another's that makes one, would
/// take them away: nothing is handed to the pool meanwhile.
pub(crate) struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// # Safety
    /// [`Unit::here`] is [`Unit::Tiles`].
    #[allow(unsafe_code)]
    pub(crate) unsafe fn new() -> Self {
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
                widths[i] = size_of::<Line>() as u16;
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
        Self(PhantomData)
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
        let chunks = left.len() / CHUNK;
        assert!(left.len() == chunks * CHUNK && right.len() == left.len());
        assert!(chunks > 0 && rows <= EDGE && columns <= EDGE);
        let packed = Left::packed(left);
        let there = start == Some((place.at.cast_const(), place.stride));
        if [rows, columns] == [EDGE; 2] && (start.is_none() || there) {
            // SAFETY: the caller's.
            return unsafe { amx::both(chunks, packed, right, place, there) };
        }
        // Parts of tiles, and what does not lie where the result is to be, go through a place of their own.
        let mut sums = [Line::default(); EDGE * EDGE / LANES];
        let own = Place {
            at: sums.as_mut_ptr().cast(),
            stride: EDGE,
        };
        // SAFETY: lanes inside the columns alone are read and written; `own` has all rows and columns.
        unsafe {
            if let Some((start, stride)) = start {
                copy([rows, columns], (start, stride), own);
            }
            match rows <= LANES {
                true => amx::upper(chunks, packed, right, own, start.is_some()),
                false => amx::both(chunks, packed, right, own, start.is_some()),
            }
            copy([rows, columns], (own.at, own.stride), place);
        }
    }

    /// A whole block of `left`, packed, times rows of `right`, a chunk at each of `places`: pairs of the chunk lie `stride`
    /// pairs apart.
    ///
    /// # Safety
    /// 32 pairs of each row may be read; `place` has 32 rows of 32 values to be written.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn at_places(
        &self,
        left: &[Line],
        right: (*const u32, usize),
        places: &[usize],
        place: Place,
    ) {
        assert!(left.len() == places.len() * CHUNK && !places.is_empty());
        // SAFETY: the caller's.
        unsafe { amx::at_places(left, right, places, place) };
    }

    /// A whole block of rows of `left`, which lie `stride` values apart, times `right`, packed, added to what lies there if
    /// `add`.
    ///
    /// # Safety
    /// 32 rows of as many values as `right` is deep may be read; `place` has 32 rows of 32 values.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn of_rows(
        &self,
        (left, stride): (*const u16, usize),
        right: &[Line],
        place: Place,
        add: bool,
    ) {
        let chunks = right.len() / CHUNK;
        assert!(right.len() == chunks * CHUNK && chunks > 0);
        // SAFETY: the caller's.
        unsafe { amx::both(chunks, Left::rows(left, stride), right, place, add) };
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
