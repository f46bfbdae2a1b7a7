//! Multiplication of f32 matrices in bf16, if it is requested and the processor supports it.
//!
//! Needed as long as no library multiplies with these instructions from Rust: `gemm` converts half precision to f32 first.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "callers refer to code that they never reach")
)]

#[cfg(not(target_arch = "x86_64"))]
mod unsupported;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use unsupported::{MatmulIsa, Packed};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{MatmulIsa, Packed};

use super::matrix::Matrix;
use crate::precision::bf16_matmul;

/// Whether to multiply `[rows, depth]` by `[depth, columns]` in bf16: small matrices are as fast in f32.
pub(crate) fn is_profitable([rows, depth, columns]: [usize; 3]) -> bool {
    const MIN_SIDE: usize = 8;
    bf16_matmul() && rows >= MIN_SIDE && columns >= MIN_SIDE && depth > 0
}

/// Whether matrices are multiplied in bf16 by AMX.
pub(crate) fn amx_in_use() -> bool {
    bf16_matmul() && MatmulIsa::current().is_amx()
}

/// An operand.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// Packed panel by panel during the multiplication.
    Plain(Matrix<'a>),
    /// Packed beforehand.
    Packed(&'a Packed),
}

/// `left[rows, depth] right[depth, columns]` in bf16.
#[derive(Clone, Copy)]
pub(crate) struct Bf16Gemm<'a> {
    pub(crate) depth: usize,
    pub(crate) left: Operand<'a>,
    pub(crate) right: Operand<'a>,
}

/// The initial value of the result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Accumulate<'a> {
    /// Zeros.
    Zero,
    /// The same row, for every row of the result.
    Bias(&'a [f32]),
    /// The existing values of the output.
    Existing,
}
