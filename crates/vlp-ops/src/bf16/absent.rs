//! No products in bf16: `pays` is never true here.

use std::convert::Infallible;
use std::ops::Range;

use super::{Place, Product, Start};
use crate::matrix::Matrix;

pub(crate) struct Unit;

impl Unit {
    pub(crate) fn here() -> Self {
        Self
    }

    pub(crate) fn rows(self) -> usize {
        1
    }
}

pub(crate) struct Packed(Infallible);

impl Packed {
    pub(crate) fn left(_: Matrix<'_>, _: [usize; 2]) -> Option<Self> {
        None
    }

    pub(crate) fn right(_: Matrix<'_>, _: [usize; 2]) -> Option<Self> {
        None
    }

    pub(crate) fn left_times(&self, _: Matrix<'_>, _: [usize; 3], _: &mut [f32]) {
        match self.0 {}
    }
}

impl Product<'_> {
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write(&self, _: Range<usize>, _: Range<usize>, _: Place, _: Start<'_>) {
        unreachable!("`pays` is never true")
    }

    #[allow(unsafe_code)]
    pub(crate) unsafe fn write_in_parts(
        _: [usize; 3],
        _: Matrix<'_>,
        _: Matrix<'_>,
        _: Place,
        _: Start<'_>,
        _: &(impl Fn(Range<usize>, Range<usize>) + Sync),
    ) {
        unreachable!("`pays` is never true")
    }
}
