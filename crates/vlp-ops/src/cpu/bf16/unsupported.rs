//! Stubs for processors without bf16 instructions: `is_profitable` is never true there.

use std::convert::Infallible;
use std::ops::Range;

use super::{Accumulate, Bf16Gemm};
use crate::cpu::matrix::{Matrix, OutPtr};

#[derive(Debug)]
pub(crate) struct MatmulIsa;

impl MatmulIsa {
    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn is_amx(self) -> bool {
        false
    }

    pub(crate) fn panel_rows(self) -> usize {
        1
    }
}

pub(crate) struct Packed(Infallible);

impl Packed {
    pub(crate) fn left(_: Matrix<'_>, _: [usize; 2]) -> Option<Self> {
        None
    }
}

impl Bf16Gemm<'_> {
    /// # Safety
    /// This must never be called; `is_profitable` is never true here.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write(
        &self,
        _: Range<usize>,
        _: Range<usize>,
        _: OutPtr,
        _: Accumulate<'_>,
    ) {
        unreachable!("`is_profitable` is never true")
    }

    /// # Safety
    /// This must never be called; `is_profitable` is never true here.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write_in_blocks(
        _: [usize; 3],
        _: Matrix<'_>,
        _: Matrix<'_>,
        _: OutPtr,
        _: Accumulate<'_>,
        _: &(impl Fn(Range<usize>, Range<usize>) + Sync),
    ) {
        unreachable!("`is_profitable` is never true")
    }
}
