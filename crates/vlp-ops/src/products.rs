//! Large matrix products, cut for all threads.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::bf16;
use crate::count::count;
use crate::finish::Finish;
use crate::flex::{scratch, wide};
use crate::matrix::{Matrix, Sheet, product, turn};
use crate::square;

/// Fewer multiplications than these are one block: cutting costs more than it brings.
const SMALL: usize = 1 << 20;
/// Blocks aimed at: enough to share among cores, few enough that each pays for the packing of its operands.
const BLOCKS: usize = 8;
/// Rows from which on turning the right operand takes less time than turning the left one and the result.
const MANY: usize = 192;
/// Blocks are as wide as a multiple of it, the widest kernel of `gemm`.
const GRAIN: usize = 64;

/// `left[rows, depth] right[depth, columns]`, plus `bias` in every row.
///
/// `gemm` copies an operand value by value where neighbours along the result's rows do not lie side by side. A large
/// table read across, as by the gradient of a linear layer or scores over a vocabulary, would cost as much to copy as
/// to multiply: where rows are few the transposed product reads it where it lies, and the small operand and the result
/// are turned, else blocks turn their part of it.
pub(crate) struct Product<'a> {
    /// Rows, depth, columns.
    pub(crate) shape: [usize; 3],
    pub(crate) left: Matrix<'a>,
    pub(crate) right: Matrix<'a>,
    pub(crate) bias: Option<&'a [f32]>,
    /// Products summed in a run before they join the total: rounding grows with the longest run.
    pub(crate) run: usize,
    /// Done with each block of the result, whose rows are channels.
    pub(crate) finish: Option<&'a Finish<'a>>,
}

/// Whether the matrix lies in memory column by column.
fn lies_across(matrix: Matrix<'_>) -> bool {
    matrix.column_stride != 1 && matrix.row_stride == 1
}

/// Blocks of a length, as like as whole grains can be.
fn parts(length: usize) -> Vec<Range<usize>> {
    let grains = length.div_ceil(GRAIN);
    let count = BLOCKS.min(grains);
    let first = |i: usize| length.min(i * grains / count * GRAIN);
    (0..count).map(|i| first(i)..first(i + 1)).collect()
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
        if bf16::pays(self.shape) {
            self.left.check(rows, depth);
            self.right.check(depth, columns);
            count(self.shape);
            let place = sheet.place(at, columns);
            let start = self.bias.map_or(bf16::Start::Zero, bf16::Start::Row);
            let (left, right) = (self.left, self.right);
            let done = |rows, columns| {
                // SAFETY: a part that was written.
                unsafe { self.finish(sheet, at, rows, columns) };
            };
            // SAFETY: the operands hold the shape (checked above); the caller answers for the sheet.
            return unsafe {
                bf16::Product::write_in_parts(self.shape, left, right, place, start, &done)
            };
        }
        let small = rows * depth * columns <= SMALL;
        let few = rows < MANY && 2 * rows < columns.max(depth);
        let across = self.right.column_stride != 1 && few;
        let by_rows = !across && rows > columns;
        let length = if by_rows { rows } else { columns };
        // Blocks of columns turn what they need of it.
        let whole = by_rows && lies_across(self.right);
        let whole = whole.then(|| turn(self.right.turned(), columns, depth));
        let right = match &whole {
            Some(values) => Matrix::of_rows(values, columns),
            None => self.right,
        };
        let turned = (across && rows > 1).then(|| turn(self.left, rows, depth));
        let left = match &turned {
            Some(values) => Matrix::of_rows(values, rows).turned(),
            None => self.left,
        };
        let block = |part: Range<usize>| {
            let (rows, columns) = match by_rows {
                true => (part, 0..columns),
                false => (0..rows, part),
            };
            // SAFETY: blocks of whole rows, or of some columns of all rows, do not overlap.
            unsafe {
                match across {
                    true => self.block_across(sheet, at, left, columns.clone()),
                    false => self.block(sheet, at, right, rows.clone(), columns.clone()),
                }
                self.finish(sheet, at, rows, columns);
            }
        };
        if small {
            block(0..length);
        } else {
            parts(length).into_par_iter().for_each(block);
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
                out.write_copy_of_slice(&bias[column..column + count]);
            }
            None => out.fill(MaybeUninit::new(0.0)),
        }
    }

    /// Some rows and columns of the result, which starts at `at`.
    ///
    /// # Safety
    /// As [`Sheet::product`].
    #[allow(unsafe_code)]
    unsafe fn block(
        &self,
        sheet: &Sheet,
        at: usize,
        right: Matrix<'_>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let [_, depth, stride] = self.shape;
        let (row, column, count) = (rows.start, columns.start, columns.len());
        let at = at + row * stride + column;
        let add = self.bias.is_some();
        for row in 0..if add { rows.len() } else { 0 } {
            // SAFETY: a row of the block.
            unsafe { self.start(sheet, at + row * stride, column, count) };
        }
        let multiply = |right: Matrix<'_>| {
            for first in (0..depth).step_by(self.run) {
                let shape = [rows.len(), self.run.min(depth - first), count];
                let (left, right) = (self.left.from(row, first), right.from(first, 0));
                // SAFETY: the caller's.
                unsafe { sheet.product(at, shape, stride, add || first > 0, left, right) };
            }
        };
        let right = right.from(0, column);
        if !lies_across(right) {
            return multiply(right);
        }
        scratch(depth * count, |turned| {
            square::turn(right.turned(), [count, depth], turned, count);
            multiply(Matrix::of_rows(turned, count));
        });
    }

    /// What is done with some rows and columns of the result, which starts at `at`, as soon as they are written.
    ///
    /// # Safety
    /// As [`Sheet::written`].
    #[allow(unsafe_code)]
    unsafe fn finish(&self, sheet: &Sheet, at: usize, rows: Range<usize>, columns: Range<usize>) {
        if let Some(finish) = self.finish {
            let stride = self.shape[2];
            let at = at + rows.start * stride + columns.start;
            // SAFETY: the caller's.
            unsafe { finish.block(sheet, at, rows, [columns.len(), stride]) };
        }
    }

    /// Some columns of all rows, by the transposed product, of a result that starts at `at`.
    ///
    /// # Safety
    /// As [`Sheet::product`].
    #[allow(unsafe_code)]
    unsafe fn block_across(
        &self,
        sheet: &Sheet,
        at: usize,
        left: Matrix<'_>,
        columns: Range<usize>,
    ) {
        let [rows, depth, stride] = self.shape;
        let (column, count) = (columns.start, columns.len());
        let at = at + column;
        let table = self.right.from(0, column).turned();
        let shape = [count, depth, rows];
        let left = left.turned();
        scratch(count * rows, |result| {
            product(shape, result, rows, false, table, left);
            wide(
                #[inline(always)]
                || {
                    for row in 0..rows {
                        // SAFETY: a row of the block.
                        let out = unsafe { sheet.row(at + row * stride, count) };
                        let values = result[row..].iter().step_by(rows);
                        match self.bias {
                            None => {
                                for (out, value) in out.iter_mut().zip(values) {
                                    out.write(*value);
                                }
                            }
                            Some(bias) => {
                                let values = values.zip(&bias[column..]);
                                for (out, (value, bias)) in out.iter_mut().zip(values) {
                                    out.write(*value + *bias);
                                }
                            }
                        }
                    }
                },
            );
        });
    }
}
