//! Matrix products: one call of `gemm` ([`product`]), and large products cut for all threads ([`Product`]).

use rayon::prelude::*;

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

/// The result, written by blocks.
struct Target(*mut f32);

// SAFETY: tasks write disjoint blocks, cut in `Product::run`.
#[allow(unsafe_code)]
unsafe impl Sync for Target {}

impl Product<'_> {
    /// The product in row-major order. Blocks and the order of sums follow from the shape alone.
    pub(crate) fn run(&self) -> Vec<f32> {
        let [rows, depth, columns] = self.shape;
        if rows * columns * depth == 0 {
            return match self.bias {
                Some(bias) => bias.repeat(rows),
                None => vec![0.0; rows * columns],
            };
        }
        assert!(self.bias.is_none_or(|bias| bias.len() == columns));
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
        let mut out = Vec::with_capacity(rows * columns);
        let target = Target(out.as_mut_ptr());
        let block = |first: usize| {
            let (target, count) = (&target, size.min(length - first));
            // SAFETY: blocks of whole rows, or of `count` columns of all rows, do not overlap and lie in `out`.
            #[allow(unsafe_code)]
            unsafe {
                if by_rows {
                    let out = target.0.add(first * columns);
                    self.block(out, [count, columns], left.from(first, 0), 0);
                } else if across {
                    self.block_across(target.0.add(first), count, left, first);
                } else {
                    self.block(target.0.add(first), [rows, count], left, first);
                }
            }
        };
        if size >= length {
            block(0);
        } else {
            let firsts: Vec<usize> = (0..length).step_by(size).collect();
            firsts.into_par_iter().for_each(block);
        }
        // SAFETY: the blocks above wrote every value.
        #[allow(unsafe_code)]
        unsafe {
            out.set_len(rows * columns);
        }
        out
    }

    /// Some rows of `left` times columns from `column` on.
    ///
    /// # Safety
    /// As [`multiply`], with a stride of all columns.
    #[allow(unsafe_code)]
    unsafe fn block(&self, out: *mut f32, size: [usize; 2], left: Matrix<'_>, column: usize) {
        let ([_, depth, columns], [rows, count]) = (self.shape, size);
        if let Some(bias) = self.bias {
            let bias = &bias[column..column + count];
            for row in 0..rows {
                // SAFETY: a row of the block, which is the caller's.
                unsafe {
                    let out = out.add(row * columns);
                    out.copy_from_nonoverlapping(bias.as_ptr(), count);
                }
            }
        }
        let (add, right) = (self.bias.is_some(), self.right.from(0, column));
        // SAFETY: the caller's.
        unsafe {
            multiply([rows, depth, count], out, columns, add, left, right, false);
        }
    }

    /// Columns `column..column + count` of all rows, by the transposed product.
    ///
    /// # Safety
    /// As [`multiply`], with a stride of all columns.
    #[allow(unsafe_code)]
    unsafe fn block_across(&self, out: *mut f32, count: usize, left: Matrix<'_>, column: usize) {
        let [rows, depth, columns] = self.shape;
        let mut result = vec![0.0; count * rows];
        let shape = [count, depth, rows];
        let table = self.right.from(0, column).turned();
        product(shape, &mut result, rows, false, table, left.turned(), false);
        wide(|| {
            for row in 0..rows {
                // SAFETY: a row of the block, which is the caller's; every value of it is written before it is read.
                let out = unsafe {
                    let out = out.add(row * columns).cast::<std::mem::MaybeUninit<f32>>();
                    std::slice::from_raw_parts_mut(out, count)
                };
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
fn turn(matrix: Matrix<'_>, rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows * columns];
    for (column, out) in out.chunks_mut(rows).enumerate() {
        let values = matrix.values[column * matrix.column_stride..]
            .iter()
            .step_by(matrix.row_stride);
        out.iter_mut().zip(values).for_each(|(out, v)| *out = *v);
    }
    out
}
