//! The f32 microkernels of the `gemm` crate at the instruction set in use.

use crate::cpu::matrix::{Matrix, OutPtr};
use crate::{SimdLevel, detected_simd_level, simd_level};

/// Arguments of the `gemm` crate: rows, columns, depth; output with column and row stride; whether to add; left and right
/// operand with column and row stride.
type Args = (
    [usize; 3],
    (*mut f32, isize, isize),
    bool,
    (*const f32, isize, isize),
    (*const f32, isize, isize),
);

/// `out[rows, columns] (+)= left[rows, depth] right[depth, columns]`.
///
/// # Safety
/// `rows` rows of `columns` values at `out` must be valid for writes, and initialized if `add`; nothing else may access
/// them during the call. `left` must have at least `rows` rows and `depth` columns, and `right` at least `depth` rows
/// and `columns` columns.
#[allow(unsafe_code)]
pub(super) unsafe fn gemm(
    [rows, depth, columns]: [usize; 3],
    out: OutPtr,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    let level = simd_level();
    if level == detected_simd_level() {
        // SAFETY: the caller guarantees the requirements.
        return unsafe {
            gemm::gemm(
                rows,
                columns,
                depth,
                out.ptr,
                1,
                out.stride as isize,
                add,
                left.values.as_ptr(),
                left.column_stride as isize,
                left.row_stride as isize,
                right.values.as_ptr(),
                right.column_stride as isize,
                right.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            )
        };
    }
    // `gemm` prefers a column-major result: the transposed product, as `gemm::gemm` has it.
    let args: Args = (
        [columns, rows, depth],
        (out.ptr, out.stride as isize, 1),
        add,
        (
            right.values.as_ptr(),
            right.row_stride as isize,
            right.column_stride as isize,
        ),
        (
            left.values.as_ptr(),
            left.row_stride as isize,
            left.column_stride as isize,
        ),
    );
    // SAFETY: guaranteed by the caller; the processor has every level up to the one in use.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 => avx2(args),
            SimdLevel::Scalar => scalar(args),
            // The highest level of its architecture is never a lowered one.
            _ => unreachable!("{level} as a lowered level"),
        }
    }
}

/// Defines a function that calls `gemm` with one set of microkernels; `$lanes` is the length of their vectors.
macro_rules! lowered_gemm {
    ($name:ident, $module:ident, $simd:ident, $lanes:expr) => {
        #[allow(unsafe_code)]
        unsafe fn $name(args: Args) {
            use gemm_common::simd::{MixedSimd, $simd};
            use gemm_f32::microkernel::$module::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};

            const N: usize = $lanes;
            let ([m, n, k], out, add, left, right) = args;
            let Some(simd) = <$simd as MixedSimd<f32, f32, f32, f32>>::try_new() else {
                unreachable!("the processor has the level in use");
            };
            // SAFETY: the caller guarantees the requirements.
            unsafe {
                gemm_common::gemm::gemm_basic_generic::<
                    _,
                    f32,
                    N,
                    { MR_DIV_N * N },
                    NR,
                    MR_DIV_N,
                    H_M,
                    H_N,
                >(
                    simd,
                    m,
                    n,
                    k,
                    out.0,
                    out.1,
                    out.2,
                    add,
                    left.0,
                    left.1,
                    left.2,
                    right.0,
                    right.1,
                    right.2,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    |a, b, c| a * b + c,
                    &UKR,
                    &H_UKR,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    };
}

lowered_gemm!(scalar, scalar, Scalar, 1);
#[cfg(target_arch = "x86_64")]
lowered_gemm!(avx2, fma, V3, 8);
