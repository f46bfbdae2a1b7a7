//! Matrix multiplication on one thread: by the `gemm` crate in f32, or by [`bf16`](super::bf16).

pub(crate) mod epilogue;
mod gemm_f32;
mod output;
pub(crate) mod parallel;

pub(crate) use output::DisjointOutput;

use super::bf16;
use super::matrix::{Matrix, OutPtr, transpose};
use super::tensor::alloc_blocks;
use crate::flops::count_matmul;

/// `out[rows, columns] (+)= left[rows, depth] right[depth, columns]`; `shape` is `[rows, depth, columns]`, and `out` is
/// row-major with rows `out_stride` values apart. Counts its operations.
pub(crate) fn matmul(
    shape: [usize; 3],
    out: &mut [f32],
    out_stride: usize,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    count_matmul(shape);
    matmul_uncounted(shape, out, out_stride, add, left, right);
}

/// [`matmul`] whose operations the caller counts.
pub(crate) fn matmul_uncounted(
    [rows, depth, columns]: [usize; 3],
    out: &mut [f32],
    out_stride: usize,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(out_stride >= columns && (rows - 1) * out_stride + columns <= out.len());
    let out = OutPtr {
        ptr: out.as_mut_ptr(),
        stride: out_stride,
    };
    // SAFETY: all rows are in `out` (asserted), which is borrowed mutably.
    #[allow(unsafe_code)]
    unsafe {
        matmul_into([rows, depth, columns], out, add, left, right);
    }
}

/// `out[rows, columns] = left[rows, depth] right[depth, columns]`, row-major, in f32 also where matmuls are in bf16.
pub(crate) fn matmul_f32(shape: [usize; 3], out: &mut [f32], left: Matrix<'_>, right: Matrix<'_>) {
    let [rows, depth, columns] = shape;
    assert!(rows > 0 && depth > 0 && columns > 0 && out.len() == rows * columns);
    left.assert_contains(rows, depth);
    right.assert_contains(depth, columns);
    count_matmul(shape);
    let out = OutPtr {
        ptr: out.as_mut_ptr(),
        stride: columns,
    };
    // SAFETY: `out` has `rows * columns` values and is borrowed mutably; the operands contain the shape (both asserted).
    #[allow(unsafe_code)]
    unsafe {
        gemm_f32::gemm(shape, out, false, left, right);
    }
}

/// [`matmul_uncounted`] into memory that other tasks may write elsewhere.
///
/// # Safety
/// `rows` rows of `columns` values at `out` must be valid for writes, and initialized if `add`; nothing else may access them
/// during the call.
#[allow(unsafe_code)]
unsafe fn matmul_into(
    [rows, depth, columns]: [usize; 3],
    out: OutPtr,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    assert!(rows > 0 && columns > 0);
    assert!(depth == 0 || (left.contains(rows, depth) && right.contains(depth, columns)));
    if bf16::is_profitable([rows, depth, columns]) {
        let accumulate = match add {
            true => bf16::Accumulate::Existing,
            false => bf16::Accumulate::Zero,
        };
        let gemm = bf16::Bf16Gemm {
            depth,
            left: bf16::Operand::Plain(left),
            right: bf16::Operand::Plain(right),
        };
        // SAFETY: the operands contain the shape (asserted); the caller guarantees the rest.
        return unsafe { gemm.write(0..rows, 0..columns, out, accumulate) };
    }
    // SAFETY: the operands contain the shape (asserted); the caller guarantees the rest.
    unsafe { gemm_f32::gemm([rows, depth, columns], out, add, left, right) };
}

/// The transpose of a matrix of `rows` rows and `columns` columns, as `[columns, rows]`, row-major; on all threads.
pub(crate) fn transposed_copy(matrix: Matrix<'_>, rows: usize, columns: usize) -> Vec<f32> {
    /// Columns of a task.
    const STRIP: usize = 64;
    alloc_blocks(
        rows * columns,
        rows * STRIP,
        #[inline(always)]
        |strip, out| {
            let strip = matrix.offset(0, strip * STRIP);
            if strip.column_stride == 1 {
                return transpose::transpose(strip, [rows, out.len() / rows], out, rows);
            }
            for (i, out) in out.chunks_exact_mut(rows).enumerate() {
                let values = strip.offset(0, i).values.iter().step_by(strip.row_stride);
                out.iter_mut().zip(values).for_each(|(out, v)| *out = *v);
            }
        },
    )
}
