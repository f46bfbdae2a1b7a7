//! Matrices inside slices, one matrix product (`gemm`, or [`bf16`]), memory that products of several tasks write.

use std::mem::MaybeUninit;

use crate::bf16;
use crate::count::count;
use crate::flex::made;
use crate::square;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Of rows one after the other.
    pub(crate) fn of_rows(values: &'a [f32], row_stride: usize) -> Self {
        Self {
            values,
            row_stride,
            column_stride: 1,
        }
    }

    /// Rows and columns change places.
    pub(crate) fn turned(self) -> Self {
        Self {
            values: self.values,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// From a row and a column on.
    pub(crate) fn from(self, row: usize, column: usize) -> Self {
        let start = row * self.row_stride + column * self.column_stride;
        Self {
            values: &self.values[start..],
            ..self
        }
    }

    /// Stops where the slice is too short: by a mistake in this crate.
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        assert!(self.holds(rows, columns));
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.values.len()
    }
}

/// `out[rows, columns] (+)= left[rows, depth] right[depth, columns]`; `out` is row-major with rows of `out_stride`.
pub(crate) fn product(
    shape: [usize; 3],
    out: &mut [f32],
    out_stride: usize,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    count(shape);
    uncounted(shape, out, out_stride, add, left, right);
}

/// As [`product`], its operations counted elsewhere.
pub(crate) fn uncounted(
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
    let start = out.as_mut_ptr();
    // SAFETY: the block lies in `out` (asserted), which is borrowed mutably.
    #[allow(unsafe_code)]
    unsafe {
        multiply([rows, depth, columns], start, out_stride, add, left, right);
    }
}

/// `out[rows, columns] = left[rows, depth] right[depth, columns]`, row-major, never in bf16.
pub(crate) fn exact_product(
    shape: [usize; 3],
    out: &mut [f32],
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    let [rows, depth, columns] = shape;
    assert!(rows > 0 && depth > 0 && columns > 0 && out.len() == rows * columns);
    left.check(rows, depth);
    right.check(depth, columns);
    count(shape);
    // SAFETY: `out` is borrowed mutably and as long as the result, the operands hold the shape (checked above).
    #[allow(unsafe_code)]
    unsafe {
        by_gemm(shape, out.as_mut_ptr(), columns, false, left, right);
    }
}

/// As [`product`].
///
/// # Safety
/// `rows` rows of `columns` values at distances of `out_stride` from `out` on may be written, and read where `add`,
/// and nothing else reads or writes them meanwhile.
#[allow(unsafe_code)]
unsafe fn multiply(
    [rows, depth, columns]: [usize; 3],
    out: *mut f32,
    out_stride: usize,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    assert!(rows > 0 && columns > 0);
    assert!(depth == 0 || (left.holds(rows, depth) && right.holds(depth, columns)));
    if bf16::pays([rows, depth, columns]) {
        let place = bf16::Place {
            at: out,
            stride: out_stride,
        };
        let start = match add {
            true => bf16::Start::There,
            false => bf16::Start::Zero,
        };
        let product = bf16::Product {
            depth,
            left: bf16::Operand::Plain(left),
            right: bf16::Operand::Plain(right),
        };
        // SAFETY: the operands hold the shape (asserted above); the caller answers for `out`.
        return unsafe { product.write(0..rows, 0..columns, place, start) };
    }
    // SAFETY: the largest index of each operand lies within its slice (asserted above); the caller answers for `out`.
    unsafe { by_gemm([rows, depth, columns], out, out_stride, add, left, right) };
}

/// As [`multiply`], in f32.
///
/// # Safety
/// As [`multiply`]; the operands hold the shape.
#[allow(unsafe_code)]
unsafe fn by_gemm(
    [rows, depth, columns]: [usize; 3],
    out: *mut f32,
    out_stride: usize,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
) {
    // SAFETY: the caller's.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            out,
            1,
            out_stride as isize,
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
        );
    }
}

/// Memory that tasks write by blocks.
pub(crate) struct Sheet(*mut f32);

// SAFETY: writing takes an `unsafe` call whose caller answers for disjoint blocks.
#[allow(unsafe_code)]
unsafe impl Sync for Sheet {}

impl Sheet {
    /// `length` values, which `f` writes.
    ///
    /// # Safety
    /// `f` writes every value.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn fill(length: usize, f: impl FnOnce(&Self)) -> Vec<f32> {
        let mut out = Vec::with_capacity(length);
        f(&Self(out.as_mut_ptr()));
        // SAFETY: the caller's.
        unsafe { out.set_len(length) };
        out
    }

    /// A product as [`product`], written from value `at` on in rows at distances of `stride`.
    ///
    /// # Safety
    /// The block lies inside the sheet, was written before if `add`, and no other task reads or writes it meanwhile.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn product(
        &self,
        at: usize,
        shape: [usize; 3],
        stride: usize,
        add: bool,
        left: Matrix<'_>,
        right: Matrix<'_>,
    ) {
        count(shape);
        // SAFETY: the caller's.
        unsafe { multiply(shape, self.0.add(at), stride, add, left, right) };
    }

    /// The place of a result whose first value is value `at`, for products in bf16.
    pub(crate) fn place(&self, at: usize, stride: usize) -> bf16::Place {
        bf16::Place {
            at: self.0.wrapping_add(at),
            stride,
        }
    }

    /// `count` values from `at` on, to be written.
    ///
    /// # Safety
    /// As [`Self::product`].
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(crate) unsafe fn row(&self, at: usize, count: usize) -> &mut [MaybeUninit<f32>] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at).cast(), count) }
    }

    /// `count` values from `at` on, written before.
    ///
    /// # Safety
    /// As [`Self::product`]; all of them were written.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(crate) unsafe fn written(&self, at: usize, count: usize) -> &mut [f32] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), count) }
    }
}

/// `[columns, rows]`, row-major.
pub(crate) fn turn(matrix: Matrix<'_>, rows: usize, columns: usize) -> Vec<f32> {
    /// Columns of a task.
    const STRIP: usize = 64;
    made(
        rows * columns,
        rows * STRIP,
        #[inline(always)]
        |strip, out| {
            let from = matrix.from(0, strip * STRIP);
            if from.column_stride == 1 {
                return square::turn(from, [rows, out.len() / rows], out, rows);
            }
            for (i, out) in out.chunks_exact_mut(rows).enumerate() {
                let values = from.from(0, i).values.iter().step_by(from.row_stride);
                out.iter_mut().zip(values).for_each(|(out, v)| *out = *v);
            }
        },
    )
}
