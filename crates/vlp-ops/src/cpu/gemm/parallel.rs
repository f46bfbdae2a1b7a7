//! Large matrix multiplications in blocks for all threads.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::epilogue::Epilogue;
use super::{DisjointOutput, matmul, transposed_copy};
use crate::cpu::bf16;
use crate::cpu::matrix::{Matrix, transpose};
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::with_scratch;
use crate::flops::count_matmul;

/// Fewer multiplications are one block: splitting costs more than it gains. Miri interprets products that are split, but not so
/// many multiplications.
const MIN_PARALLEL: usize = if cfg!(miri) { 1 << 7 } else { 1 << 20 };
/// Number of blocks: enough for all cores, and few enough that each is worth the packing of its operands.
const BLOCKS: usize = 8;
/// From this many rows on, transposing the right operand takes less time than transposing the left one and the result.
const MANY_ROWS: usize = 192;
/// The width of blocks is a multiple of the widest microkernel of `gemm`.
const GRAIN: usize = 64;

/// `left[rows, depth] right[depth, columns]`, plus `bias` in every row.
///
/// `gemm` copies an operand value by value where neighbors along the result's rows are not neighbors in memory. For a large
/// column-major matrix, as in the gradient of a linear layer or in logits over a vocabulary, this copy would take as long as
/// the multiplication. So with few rows the transposed product reads the matrix in place, and the small operand and the
/// result are transposed; otherwise each block transposes its part of the matrix.
#[derive(Debug)]
pub(crate) struct ParallelGemm<'a> {
    /// Rows, depth, columns.
    pub(crate) shape: [usize; 3],
    pub(crate) left: Matrix<'a>,
    pub(crate) right: Matrix<'a>,
    pub(crate) bias: Option<&'a [f32]>,
    /// Terms that are summed before they are added to the total; all at once for `None`. Rounding grows with the length of a
    /// sum.
    pub(crate) k_chunk: Option<usize>,
    /// Applied to each block of the result; its rows are channels.
    pub(crate) epilogue: Option<&'a Epilogue<'a>>,
}

/// Blocks of a length, as equal as multiples of the grain can be.
fn blocks(length: usize) -> Vec<Range<usize>> {
    let grains = length.div_ceil(GRAIN);
    let count = BLOCKS.min(grains);
    let first = |i: usize| length.min(i * grains / count * GRAIN);
    (0..count).map(|i| first(i)..first(i + 1)).collect()
}

impl ParallelGemm<'_> {
    /// The result, row-major. Blocks and the order of sums follow from the shape alone.
    pub(crate) fn run(&self) -> Vec<f32> {
        Self::run_all(std::slice::from_ref(self))
    }

    /// The results one after the other.
    pub(crate) fn run_all(gemms: &[Self]) -> Vec<f32> {
        let size = |gemm: &Self| gemm.shape[0] * gemm.shape[2];
        let length = gemms.iter().map(size).sum();
        // SAFETY: each multiplication writes its own part, and the parts are all of the output.
        #[allow(unsafe_code)]
        unsafe {
            DisjointOutput::fill(length, |output| {
                let mut start = 0;
                for gemm in gemms {
                    gemm.write(output, start);
                    start += size(gemm);
                }
            })
        }
    }

    /// Writes the result from value `start` on.
    ///
    /// # Safety
    /// The `rows * columns` values of the output from `start` on must be inside it, and no other task may access them
    /// during the call.
    #[allow(unsafe_code)]
    unsafe fn write(&self, output: &DisjointOutput, start: usize) {
        let [rows, depth, columns] = self.shape;
        assert!(self.bias.is_none_or(|bias| bias.len() == columns));
        if rows * columns == 0 {
            return;
        }
        if depth == 0 {
            for row in 0..rows {
                // SAFETY: the row is part of the result, for which the caller guarantees this.
                unsafe { self.write_bias(output, start + row * columns, 0, columns) };
            }
            return;
        }
        if bf16::is_profitable(self.shape) {
            self.left.assert_contains(rows, depth);
            self.right.assert_contains(depth, columns);
            count_matmul(self.shape);
            let out = output.ptr(start, columns);
            let accumulate = match self.bias {
                Some(bias) => bf16::Accumulate::Bias(bias),
                None => bf16::Accumulate::Zero,
            };
            let (left, right) = (self.left, self.right);
            let epilogue = |rows, columns| {
                // SAFETY: the block has been written, and no other task accesses it.
                unsafe { self.apply_epilogue(output, start, rows, columns) };
            };
            // SAFETY: the operands contain the shape (asserted), the bias a row; the caller guarantees the rest.
            return unsafe {
                bf16::Bf16Gemm::write_in_blocks(self.shape, left, right, out, accumulate, &epilogue)
            };
        }
        let is_small = rows * depth * columns <= MIN_PARALLEL;
        let has_few_rows = rows < MANY_ROWS && 2 * rows < columns.max(depth);
        let by_transposed_product = self.right.column_stride != 1 && has_few_rows;
        let by_rows = !by_transposed_product && rows > columns;
        let length = if by_rows { rows } else { columns };
        // Blocks of columns transpose their own part instead.
        let transposed_right = (by_rows && self.right.is_column_major())
            .then(|| transposed_copy(self.right.transposed(), columns, depth));
        let right = match &transposed_right {
            Some(values) => Matrix::row_major(values, columns),
            None => self.right,
        };
        let transposed_left =
            (by_transposed_product && rows > 1).then(|| transposed_copy(self.left, rows, depth));
        let left = match &transposed_left {
            Some(values) => Matrix::row_major(values, rows).transposed(),
            None => self.left,
        };
        let block = |range: Range<usize>| {
            let (rows, columns) = match by_rows {
                true => (range, 0..columns),
                false => (0..rows, range),
            };
            // SAFETY: blocks of whole rows, or of some columns of all rows, do not overlap; the caller guarantees the rest.
            unsafe {
                match by_transposed_product {
                    true => self.write_transposed_block(output, start, left, columns.clone()),
                    false => self.write_block(output, start, right, rows.clone(), columns.clone()),
                }
                self.apply_epilogue(output, start, rows, columns);
            }
        };
        if is_small {
            block(0..length);
        } else {
            blocks(length).into_par_iter().for_each(block);
        }
    }

    /// Writes `count` values of the bias from `column` on, or zeros.
    ///
    /// # Safety
    /// The requirements of [`DisjointOutput::uninit_slice`] must hold for these values.
    #[allow(unsafe_code)]
    unsafe fn write_bias(
        &self,
        output: &DisjointOutput,
        start: usize,
        column: usize,
        count: usize,
    ) {
        // SAFETY: the caller guarantees the requirements.
        let out = unsafe { output.uninit_slice(start, count) };
        match self.bias {
            Some(bias) => {
                out.write_copy_of_slice(&bias[column..column + count]);
            }
            None => out.fill(MaybeUninit::new(0.0)),
        }
    }

    /// Writes some rows and columns of the result, which starts at `start`.
    ///
    /// # Safety
    /// The requirements of [`Self::write`] must hold for the block.
    #[allow(unsafe_code)]
    unsafe fn write_block(
        &self,
        output: &DisjointOutput,
        start: usize,
        right: Matrix<'_>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let [_, depth, stride] = self.shape;
        let (first_row, column, count) = (rows.start, columns.start, columns.len());
        let start = start + first_row * stride + column;
        let has_bias = self.bias.is_some();
        if has_bias {
            for row in 0..rows.len() {
                // SAFETY: the row is part of the block, for which the caller guarantees this.
                unsafe { self.write_bias(output, start + row * stride, column, count) };
            }
        }
        let multiply = |right: Matrix<'_>| {
            let k_chunk = self.k_chunk.unwrap_or(depth);
            for first in (0..depth).step_by(k_chunk) {
                let shape = [rows.len(), k_chunk.min(depth - first), count];
                let left = self.left.offset(first_row, first);
                let (right, add) = (right.offset(first, 0), has_bias || first > 0);
                // SAFETY: the caller guarantees this for the block.
                unsafe { output.matmul(start, shape, stride, add, left, right) };
            }
        };
        let right = right.offset(0, column);
        if !right.is_column_major() {
            return multiply(right);
        }
        with_scratch(depth * count, |transposed| {
            transpose::transpose(right.transposed(), [count, depth], transposed, count);
            multiply(Matrix::row_major(transposed, count));
        });
    }

    /// Applies the epilogue to some rows and columns of the result, which starts at `start`.
    ///
    /// # Safety
    /// The requirements of [`DisjointOutput::slice`] must hold for every row of the block.
    #[allow(unsafe_code)]
    unsafe fn apply_epilogue(
        &self,
        output: &DisjointOutput,
        start: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        if let Some(epilogue) = self.epilogue {
            let stride = self.shape[2];
            let start = start + rows.start * stride + columns.start;
            // SAFETY: the caller guarantees the requirements.
            unsafe { epilogue.apply_block(output, start, rows, [columns.len(), stride]) };
        }
    }

    /// Writes some columns of all rows, by the transposed product, of a result that starts at `start`.
    ///
    /// # Safety
    /// The requirements of [`Self::write`] must hold for the columns.
    #[allow(unsafe_code)]
    unsafe fn write_transposed_block(
        &self,
        output: &DisjointOutput,
        start: usize,
        left: Matrix<'_>,
        columns: Range<usize>,
    ) {
        let [rows, depth, stride] = self.shape;
        let (column, count) = (columns.start, columns.len());
        let start = start + column;
        let right = self.right.offset(0, column).transposed();
        let shape = [count, depth, rows];
        let left = left.transposed();
        with_scratch(count * rows, |result| {
            matmul(shape, result, rows, false, right, left);
            simd_dispatch(
                #[inline(always)]
                || {
                    for row in 0..rows {
                        // SAFETY: the row is part of the block, for which the caller guarantees this.
                        let out = unsafe { output.uninit_slice(start + row * stride, count) };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Integers from -2 to 2, whose sums are exact.
    fn integers(length: usize, seed: usize) -> Vec<f32> {
        let integer = |i: usize| (i * 7 + i / 5 * 3 + seed) % 5;
        (0..length).map(|i| integer(i) as f32 - 2.0).collect()
    }

    /// Shapes that are split by columns, by rows, and by the transposed product where the right operand is column-major; one
    /// that is not split, and one without terms.
    const SHAPES: [[usize; 3]; 6] = [
        [2, 3, 66],
        [34, 2, 66],
        [66, 3, 2],
        [1, 4, 66],
        [2, 3, 5],
        [2, 0, 3],
    ];

    #[test]
    fn products_are_sums_of_products() {
        // Miri takes a minute for one.
        let variants: &[bool] = if cfg!(miri) { &[false] } else { &[true, false] };
        for [rows, depth, columns] in SHAPES {
            let (left, right) = (integers(rows * depth, 1), integers(depth * columns, 2));
            let (bias, shift) = (integers(columns, 3), integers(rows, 4));
            let epilogue = Epilogue {
                scale: &vec![2.0; rows],
                shift: &shift,
                shortcut: None,
                relu: true,
            };
            for column_major in [false, true] {
                let right = match column_major {
                    true => Matrix::row_major(&right, depth.max(1)).transposed(),
                    false => Matrix::row_major(&right, columns),
                };
                let product = |row: usize, column: usize| {
                    let terms = (0..depth).map(|k| {
                        let index = k * right.row_stride + column * right.column_stride;
                        left[row * depth + k] * right.values[index]
                    });
                    terms.sum::<f32>()
                };
                for &is_plain in variants {
                    let gemm = || ParallelGemm {
                        shape: [rows, depth, columns],
                        left: Matrix::row_major(&left, depth.max(1)),
                        right,
                        bias: (!is_plain).then_some(&*bias),
                        k_chunk: (!is_plain).then_some(2),
                        epilogue: (!is_plain && depth > 0).then_some(&epilogue),
                    };
                    let expected: Vec<f32> = (0..rows * columns)
                        .map(|i| {
                            let (row, column) = (i / columns, i % columns);
                            let value = product(row, column);
                            match (is_plain, depth) {
                                (true, _) => value,
                                (false, 0) => bias[column],
                                (false, _) => ((value + bias[column]) * 2.0 + shift[row]).max(0.0),
                            }
                        })
                        .collect();
                    let name = format!("{rows} x {depth} x {columns}, {column_major}, {is_plain}");
                    assert_eq!(gemm().run(), expected, "{name}");
                    if rows * columns < 100 {
                        let twice = ParallelGemm::run_all(&[gemm(), gemm()]);
                        assert_eq!(twice, expected.repeat(2), "{name}");
                    }
                }
            }
        }
    }
}
