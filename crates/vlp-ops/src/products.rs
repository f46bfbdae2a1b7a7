//! Matrix products: one call of `gemm` ([`product`]), and large products cut for all threads ([`Product`]).

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::count::count;
use crate::flex::wide;

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
    fn from(self, row: usize, column: usize) -> Self {
        let start = row * self.row_stride + column * self.column_stride;
        Self {
            values: &self.values[start..],
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.values.len()
    }
}

/// `out[rows, columns] (+)= left[rows, depth] right[depth, columns]`; `out` is row-major with rows of `out_stride`.
pub(crate) fn product(
    [rows, depth, columns]: [usize; 3],
    out: &mut [f32],
    out_stride: usize,
    add: bool,
    left: Matrix<'_>,
    right: Matrix<'_>,
    parallel: bool,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(out_stride >= columns && (rows - 1) * out_stride + columns <= out.len());
    let start = out.as_mut_ptr();
    // SAFETY: the block lies in `out` (asserted), which is borrowed mutably.
    #[allow(unsafe_code)]
    unsafe {
        multiply(
            [rows, depth, columns],
            start,
            out_stride,
            add,
            left,
            right,
            parallel,
        );
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
    parallel: bool,
) {
    assert!(rows > 0 && columns > 0);
    assert!(depth == 0 || (left.holds(rows, depth) && right.holds(depth, columns)));
    count([rows, depth, columns]);
    let parallelism = if parallel {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    // SAFETY: the largest index of each operand lies within its slice (asserted above); the caller answers for `out`.
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
            parallelism,
        );
    }
}

/// Fewer multiplications than these are one block: cutting costs more than it brings.
const SMALL: usize = 1 << 20;
/// Blocks aimed at: enough to share among cores, few enough that each pays for the packing of its operands.
const BLOCKS: usize = 8;
/// Blocks are as wide as a multiple of it, the widest kernel of `gemm`.
const GRAIN: usize = 64;

/// `left[rows, depth] right[depth, columns]`, plus `bias` in every row.
///
/// `gemm` copies an operand value by value where neighbours along the result's rows do not lie side by side. A large
/// table read across, as by the gradient of a linear layer or scores over a vocabulary, would cost as much to copy as
/// to multiply; the transposed product then reads it where it lies, and the small operand and the result are turned.
pub(crate) struct Product<'a> {
    /// Rows, depth, columns.
    pub(crate) shape: [usize; 3],
    pub(crate) left: Matrix<'a>,
    pub(crate) right: Matrix<'a>,
    pub(crate) bias: Option<&'a [f32]>,
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
        // SAFETY: the caller's.
        unsafe { multiply(shape, self.0.add(at), stride, add, left, right, false) };
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
}

impl Product<'_> {
    /// The product in row-major order. Blocks and the order of sums follow from the shape alone.
    pub(crate) fn run(&self) -> Vec<f32> {
        Self::stack(std::slice::from_ref(self))
    }

    /// Results one after the other.
    pub(crate) fn stack(products: &[Self]) -> Vec<f32> {
        let size = |product: &Self| product.shape[0] * product.shape[2];
        let length = products.iter().map(size).sum();
        // SAFETY: each product writes its own part.
        #[allow(unsafe_code)]
        unsafe {
            Sheet::fill(length, |sheet| {
                let mut at = 0;
                for product in products {
                    product.write(sheet, at);
                    at += size(product);
                }
            })
        }
    }

    /// Writes the product from `at` on.
    ///
    /// # Safety
    /// As [`Sheet::product`].
    #[allow(unsafe_code)]
    unsafe fn write(&self, sheet: &Sheet, at: usize) {
        let [rows, depth, columns] = self.shape;
        assert!(self.bias.is_none_or(|bias| bias.len() == columns));
        if rows * columns == 0 {
            return;
        }
        if depth == 0 {
            for row in 0..rows {
                // SAFETY: a row of the result.
                unsafe { self.start(sheet, at + row * columns, 0, columns) };
            }
            return;
        }
        let across = self.right.column_stride != 1 && 2 * rows < columns.max(depth);
        let by_rows = !across && rows > columns;
        let length = if by_rows { rows } else { columns };
        let size = match rows * depth * columns <= SMALL {
            true => length,
            false => length.div_ceil(BLOCKS).next_multiple_of(GRAIN),
        };
        let turned = (across && rows > 1).then(|| turn(self.left, rows, depth));
        let left = match &turned {
            Some(values) => Matrix::of_rows(values, rows).turned(),
            None => self.left,
        };
        let block = |first: usize| {
            let count = size.min(length - first);
            // SAFETY: blocks of whole rows, or of `count` columns of all rows, do not overlap.
            unsafe {
                if by_rows {
                    let at = at + first * columns;
                    self.block(sheet, at, [count, columns], left.from(first, 0), 0);
                } else if across {
                    self.block_across(sheet, at + first, count, left, first);
                } else {
                    self.block(sheet, at + first, [rows, count], left, first);
                }
            }
        };
        if size >= length {
            block(0);
        } else {
            let firsts: Vec<usize> = (0..length).step_by(size).collect();
            firsts.into_par_iter().for_each(block);
        }
    }

    /// `count` values of the bias from `column` on, or zeros.
    ///
    /// # Safety
    /// As [`Sheet::product`].
    #[allow(unsafe_code)]
    unsafe fn start(&self, sheet: &Sheet, at: usize, column: usize, count: usize) {
        // SAFETY: the caller's.
        let out = unsafe { sheet.row(at, count) };
        match self.bias {
            Some(bias) => {
                let bias = bias[column..column + count].iter();
                out.iter_mut().zip(bias).for_each(|(out, bias)| {
                    out.write(*bias);
                });
            }
            None => out.fill(MaybeUninit::new(0.0)),
        }
    }

    /// Some rows of `left` times columns from `column` on.
    ///
    /// # Safety
    /// As [`Sheet::product`], with a stride of all columns.
    #[allow(unsafe_code)]
    unsafe fn block(
        &self,
        sheet: &Sheet,
        at: usize,
        [rows, count]: [usize; 2],
        left: Matrix<'_>,
        column: usize,
    ) {
        let [_, depth, columns] = self.shape;
        let add = self.bias.is_some();
        for row in 0..if add { rows } else { 0 } {
            // SAFETY: a row of the block.
            unsafe { self.start(sheet, at + row * columns, column, count) };
        }
        let (shape, right) = ([rows, depth, count], self.right.from(0, column));
        // SAFETY: the caller's.
        unsafe { sheet.product(at, shape, columns, add, left, right) };
    }

    /// Columns `column..column + count` of all rows, by the transposed product.
    ///
    /// # Safety
    /// As [`Sheet::product`], with a stride of all columns.
    #[allow(unsafe_code)]
    unsafe fn block_across(
        &self,
        sheet: &Sheet,
        at: usize,
        count: usize,
        left: Matrix<'_>,
        column: usize,
    ) {
        let [rows, depth, columns] = self.shape;
        let mut result = vec![0.0; count * rows];
        let table = self.right.from(0, column).turned();
        let shape = [count, depth, rows];
        let left = left.turned();
        product(shape, &mut result, rows, false, table, left, false);
        wide(|| {
            for row in 0..rows {
                // SAFETY: a row of the block.
                let out = unsafe { sheet.row(at + row * columns, count) };
                let values = result[row..].iter().step_by(rows);
                match self.bias {
                    None => out.iter_mut().zip(values).for_each(|(out, value)| {
                        out.write(*value);
                    }),
                    Some(bias) => {
                        let values = values.zip(&bias[column..]);
                        out.iter_mut().zip(values).for_each(|(out, (value, bias))| {
                            out.write(*value + *bias);
                        });
                    }
                }
            }
        });
    }
}

/// `[columns, rows]`, row-major.
pub(crate) fn turn(matrix: Matrix<'_>, rows: usize, columns: usize) -> Vec<f32> {
    /// Columns of a task.
    const STRIP: usize = 64;
    /// Rows read at a time: their lines stay in the first cache while all columns of the strip are written.
    const TILE: usize = 16;
    let mut out = vec![0.0; rows * columns];
    out.par_chunks_mut(rows * STRIP)
        .enumerate()
        .for_each(|(strip, out)| {
            wide(|| {
                for first in (0..rows).step_by(TILE) {
                    let count = TILE.min(rows - first);
                    for (i, out) in out.chunks_exact_mut(rows).enumerate() {
                        let values = matrix.from(first, strip * STRIP + i).values.iter();
                        let values = values.step_by(matrix.row_stride);
                        let out = &mut out[first..first + count];
                        out.iter_mut().zip(values).for_each(|(out, v)| *out = *v);
                    }
                }
            });
        });
    out
}
