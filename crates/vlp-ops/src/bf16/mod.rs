//! Products of f32 matrices in bf16, where they are asked for and the processor has the instructions.
//!
//! Needed as long as no library multiplies with them from Rust: `gemm` widens half precision to f32 first.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "callers name what they never reach")
)]

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use absent::{Packed, Unit};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Packed, Unit};

use crate::matrix::Matrix;
use crate::route::in_bf16;

/// Whether a product of `[rows, depth, columns]` is to be made in bf16: small ones are as fast in f32.
pub(crate) fn pays([rows, depth, columns]: [usize; 3]) -> bool {
    const LEAST: usize = 8;
    in_bf16() && rows >= LEAST && columns >= LEAST && depth > 0
}

/// An operand.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// Packed panel by panel as it is needed.
    Plain(Matrix<'a>),
    /// Packed beforehand.
    Packed(&'a Packed),
}

/// `left[rows, depth] right[depth, columns]` in bf16.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) depth: usize,
    pub(crate) left: Operand<'a>,
    pub(crate) right: Operand<'a>,
}

/// What a result is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// The same row for every row.
    Row(&'a [f32]),
    /// What stands in its place.
    There,
}

/// Where a result goes: rows at distances of `stride`.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) at: *mut f32,
    pub(crate) stride: usize,
}

// SAFETY: writing takes an `unsafe` call whose caller answers for disjoint places.
#[allow(unsafe_code)]
unsafe impl Sync for Place {}
