//! Multiplication by AMX instructions: blocks of two by two tiles, or of two tiles next to each other.
//!
//! Rust has no stable intrinsics for them. Tiles 0 to 3 hold sums, 4 and 5 rows of the left operand, 6 and 7 columns of the
//! right.

use std::arch::asm;

use super::layout::{COLUMNS, CacheLine, LANES};
use crate::cpu::matrix::OutPtr;

/// Bytes of a cache line, and between two rows of pairs of the right operand.
const LINE_BYTES: usize = size_of::<CacheLine>();
const RIGHT_STRIDE: usize = COLUMNS * size_of::<u32>();

/// The left operand; strides in bytes.
#[derive(Clone, Copy)]
pub(super) struct LeftTiles {
    ptr: *const u8,
    row_stride: usize,
    chunk_stride: usize,
}

impl LeftTiles {
    /// Packed chunks of 32 rows, one after the other.
    pub(super) fn packed(lines: &[CacheLine]) -> Self {
        Self {
            ptr: lines.as_ptr().cast(),
            row_stride: LINE_BYTES,
            chunk_stride: 2 * LANES * LINE_BYTES,
        }
    }

    /// Rows of bf16 values, `stride` values apart.
    pub(super) fn rows(ptr: *const u16, stride: usize) -> Self {
        Self {
            ptr: ptr.cast(),
            row_stride: stride * size_of::<u16>(),
            chunk_stride: LINE_BYTES,
        }
    }
}

/// A block of two by two tiles over `chunks` chunks, added to `out` if `add`.
///
/// # Safety
/// `out` must have 32 rows of 32 values that are valid for writes, are initialized if `add`, and are not accessed by
/// another task during the call. Both operands must have `chunks` chunks, at least one, that are valid for reads. An
/// `AmxSession` must exist on this thread.
#[allow(unsafe_code)]
pub(super) unsafe fn multiply_block(
    chunks: usize,
    left: LeftTiles,
    right: &[CacheLine],
    out: OutPtr,
    add: bool,
) {
    let stride = out.stride * size_of::<f32>();
    // SAFETY: the loads and stores access what the caller guarantees; all registers written are declared.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 2f",
            "tileloadd tmm0, [{out} + {stride}]",
            "tileloadd tmm1, [{out} + {stride} + 64]",
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
            "add {left}, {chunk_stride}",
            "add {lower}, {chunk_stride}",
            "add {right}, 2048",
            "dec {chunks}",
            "jnz 3b",
            "tilestored [{out} + {stride}], tmm0",
            "tilestored [{out} + {stride} + 64], tmm1",
            "tilestored [{below} + {stride}], tmm2",
            "tilestored [{below} + {stride} + 64], tmm3",
            add = in(reg) u32::from(add),
            out = in(reg) out.ptr,
            below = in(reg) out.ptr.wrapping_add(LANES * out.stride),
            stride = in(reg) stride,
            left = inout(reg) left.ptr => _,
            lower = inout(reg) left.ptr.wrapping_add(LANES * left.row_stride) => _,
            left_stride = in(reg) left.row_stride,
            chunk_stride = in(reg) left.chunk_stride,
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

/// [`multiply_block`] of the upper 16 rows alone.
///
/// # Safety
/// The requirements of [`multiply_block`] must hold, with 16 rows of `out` and of the left operand instead of 32.
#[allow(unsafe_code)]
pub(super) unsafe fn multiply_half_block(
    chunks: usize,
    left: LeftTiles,
    right: &[CacheLine],
    out: OutPtr,
    add: bool,
) {
    let stride = out.stride * size_of::<f32>();
    // SAFETY: the loads and stores access what the caller guarantees; all registers written are declared.
    unsafe {
        asm!(
            "test {add:e}, {add:e}",
            "jz 2f",
            "tileloadd tmm0, [{out} + {stride}]",
            "tileloadd tmm1, [{out} + {stride} + 64]",
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
            "add {left}, {chunk_stride}",
            "add {right}, 2048",
            "dec {chunks}",
            "jnz 3b",
            "tilestored [{out} + {stride}], tmm0",
            "tilestored [{out} + {stride} + 64], tmm1",
            add = in(reg) u32::from(add),
            out = in(reg) out.ptr,
            stride = in(reg) stride,
            left = inout(reg) left.ptr => _,
            left_stride = in(reg) left.row_stride,
            chunk_stride = in(reg) left.chunk_stride,
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

/// A block of two by two tiles: a packed left operand times chunks of the right one at `offsets`, counted in pairs.
///
/// # Safety
/// The requirements of [`multiply_block`] must hold for `out`. The left operand must have one chunk for each offset, and at
/// each offset of the right operand 16 rows of 32 pairs, `right_stride` pairs apart, must be valid for reads. There must be
/// at least one offset. An `AmxSession` must exist on this thread.
#[allow(unsafe_code)]
pub(super) unsafe fn multiply_at_offsets(
    left: &[CacheLine],
    (right, right_stride): (*const u32, usize),
    offsets: &[usize],
    out: OutPtr,
) {
    // SAFETY: the loads and stores access what the caller guarantees; all registers written are declared.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "mov {chunk}, [{offsets}]",
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
            "add {offsets}, 8",
            "dec {count}",
            "jnz 3b",
            "tilestored [{out} + {stride}], tmm0",
            "tilestored [{out} + {stride} + 64], tmm1",
            "tilestored [{below} + {stride}], tmm2",
            "tilestored [{below} + {stride} + 64], tmm3",
            out = in(reg) out.ptr,
            below = in(reg) out.ptr.wrapping_add(LANES * out.stride),
            stride = in(reg) out.stride * size_of::<f32>(),
            left = inout(reg) left.as_ptr() => _,
            left_stride = in(reg) LINE_BYTES,
            right = in(reg) right,
            right_stride = in(reg) right_stride * size_of::<u32>(),
            offsets = inout(reg) offsets.as_ptr() => _,
            count = inout(reg) offsets.len() => _,
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
