//! AMX's instructions: sums of two by two tiles, or of two side by side.
//!
//! Rust has no stable intrinsics for them. Tiles 0 to 3 hold sums, 4 and 5 the left operand's rows, 6 and 7 the right's columns.

use std::arch::asm;

use super::pack::{COLUMNS, LANES, Line};
use crate::bf16::Place;

/// Bytes of a line, and from a pair of the right operand to the next.
const LINE: usize = size_of::<Line>();
const RIGHT_STRIDE: usize = COLUMNS * size_of::<u32>();

/// Where the left operand lies, all in bytes.
#[derive(Clone, Copy)]
pub(super) struct Left {
    at: *const u8,
    /// From a row to the next.
    stride: usize,
    /// From a chunk to the next.
    step: usize,
}

impl Left {
    /// Chunks of 32 rows one after the other.
    pub(super) fn packed(lines: &[Line]) -> Self {
        Self {
            at: lines.as_ptr().cast(),
            stride: LINE,
            step: 2 * LANES * LINE,
        }
    }

    /// Rows of bf16, `stride` values apart.
    pub(super) fn rows(at: *const u16, stride: usize) -> Self {
        Self {
            at: at.cast(),
            stride: stride * size_of::<u16>(),
            step: LINE,
        }
    }
}

/// Two by two tiles, added to what lies at `place` if `add`.
///
/// # Safety
/// `place` has 32 rows of 32 values; both operands have as many chunks; the thread's tiles are set.
#[allow(unsafe_code)]
pub(super) unsafe fn both(chunks: usize, left: Left, right: &[Line], place: Place, add: bool) {
    let stride = place.stride * size_of::<f32>();
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 2f",
            "tileloadd tmm0, [{at} + {stride}]",
            "tileloadd tmm1, [{at} + {stride} + 64]",
            "tileloadd tmm2, [{below} + {stride}]",
            "tileloadd tmm3, [{below} + {stride} + 64]",
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
            "tileloadd tmm5, [{lower} + {left_stride}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, {step}",
            "add {lower}, {step}",
            "add {right}, 2048",
            "dec {chunks}",
            "jnz 3b",
            "tilestored [{at} + {stride}], tmm0",
            "tilestored [{at} + {stride} + 64], tmm1",
            "tilestored [{below} + {stride}], tmm2",
            "tilestored [{below} + {stride} + 64], tmm3",
            add = in(reg) u32::from(add),
            at = in(reg) place.at,
            below = in(reg) place.at.wrapping_add(LANES * place.stride),
            stride = in(reg) stride,
            left = inout(reg) left.at => _,
            lower = inout(reg) left.at.wrapping_add(LANES * left.stride) => _,
            left_stride = in(reg) left.stride,
            step = in(reg) left.step,
            right = inout(reg) right.as_ptr() => _,
            right_stride = in(reg) RIGHT_STRIDE,
            chunks = inout(reg) chunks => _,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        );
    }
}

/// As [`both`], of the upper 16 rows alone.
///
/// # Safety
/// As [`both`].
#[allow(unsafe_code)]
pub(super) unsafe fn upper(chunks: usize, left: Left, right: &[Line], place: Place, add: bool) {
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
            "add {left}, {step}",
            "add {right}, 2048",
            "dec {chunks}",
            "jnz 3b",
            "tilestored [{at} + {stride}], tmm0",
            "tilestored [{at} + {stride} + 64], tmm1",
            add = in(reg) u32::from(add),
            at = in(reg) place.at,
            stride = in(reg) stride,
            left = inout(reg) left.at => _,
            left_stride = in(reg) left.stride,
            step = in(reg) left.step,
            right = inout(reg) right.as_ptr() => _,
            right_stride = in(reg) RIGHT_STRIDE,
            chunks = inout(reg) chunks => _,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm4") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        );
    }
}

/// Two by two tiles, of a packed left operand and chunks of the right one at `places`, in pairs.
///
/// # Safety
/// As [`both`], of a right operand whose pairs lie as far apart as is said, and of as many chunks as places.
#[allow(unsafe_code)]
pub(super) unsafe fn at_places(
    left: &[Line],
    (right, right_stride): (*const u32, usize),
    places: &[usize],
    place: Place,
) {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "mov {chunk}, [{places}]",
            "lea {chunk}, [{right} + 4 * {chunk}]",
            "tileloadd tmm4, [{left} + {left_stride}]",
            "tileloadd tmm6, [{chunk} + {right_stride}]",
            "tileloadd tmm7, [{chunk} + {right_stride} + 64]",
            "tileloadd tmm5, [{left} + {left_stride} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, 2048",
            "add {places}, 8",
            "dec {count}",
            "jnz 3b",
            "tilestored [{at} + {stride}], tmm0",
            "tilestored [{at} + {stride} + 64], tmm1",
            "tilestored [{below} + {stride}], tmm2",
            "tilestored [{below} + {stride} + 64], tmm3",
            at = in(reg) place.at,
            below = in(reg) place.at.wrapping_add(LANES * place.stride),
            stride = in(reg) place.stride * size_of::<f32>(),
            left = inout(reg) left.as_ptr() => _,
            left_stride = in(reg) LINE,
            right = in(reg) right,
            right_stride = in(reg) right_stride * size_of::<u32>(),
            places = inout(reg) places.as_ptr() => _,
            count = inout(reg) places.len() => _,
            chunk = out(reg) _,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        );
    }
}
