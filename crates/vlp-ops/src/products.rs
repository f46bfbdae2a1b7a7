//! Large matrix products, cut for all threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::bf16;
use crate::count::count;
use crate::flex::{scratch, wide};
use crate::matrix::{Matrix, Sheet, product, turn};

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
            // SAFETY: the operands hold the shape (checked above); the caller answers for the sheet.
            return unsafe { bf16::Product::write_in_parts(self.shape, left, right, place, start) };
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
                        let out = unsafe { sheet.row(at + row * columns, count) };
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
