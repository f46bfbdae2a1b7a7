//! Matrices inside slices: how they are read, written and transposed.

mod out_ptr;
pub(crate) mod transpose;
mod view;

pub(crate) use out_ptr::OutPtr;
pub(crate) use view::Matrix;
