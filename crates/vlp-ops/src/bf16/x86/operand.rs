//! Operands packed for all products that need them.

use super::pack::{self, COLUMNS, LANES, Line, RIGHT_CHUNK};
use super::unit::Unit;
use crate::bf16::{Operand, Place, Product, Start, pays};
use crate::count::count;
use crate::flex::made;
use crate::matrix::Matrix;

/// Chunks of a block's depth: a panel of the right operand, 24 KiB, stays in the first cache.
pub(super) const BLOCK: usize = 12;
/// Depth of a block.
pub(super) const DEPTH: usize = BLOCK * 2 * LANES;

/// An operand packed for all products that need it.
pub(crate) struct Packed {
    /// All panels of the first block of the depth, of the next and so on.
    blocks: Vec<Vec<Line>>,
    /// Rows or columns.
    length: usize,
    depth: usize,
    /// Rows or columns of a panel, and lines of its chunks.
    size: usize,
    chunk: usize,
    /// Whether the depth ran along the memory of a left operand.
    pub(super) along: bool,
    pub(super) unit: Unit,
}

impl Packed {
    /// Of `[rows, depth]`, on all threads; `None` where f32 is to stay.
    pub(crate) fn left(matrix: Matrix<'_>, [rows, depth]: [usize; 2]) -> Option<Self> {
        if !pays([rows, depth, rows]) {
            return None;
        }
        matrix.check(rows, depth);
        Some(Self::left_for(Unit::here(), matrix, [rows, depth]))
    }

    /// Of `[depth, columns]`, likewise.
    pub(crate) fn right(matrix: Matrix<'_>, [depth, columns]: [usize; 2]) -> Option<Self> {
        if !pays([columns, depth, columns]) {
            return None;
        }
        matrix.check(depth, columns);
        Some(Self::right_for(Unit::here(), matrix, [depth, columns]))
    }

    pub(super) fn left_for(unit: Unit, matrix: Matrix<'_>, [rows, depth]: [usize; 2]) -> Self {
        let along = matrix.column_stride == 1;
        let sizes = [rows, depth, unit.rows(), unit.left_chunk()];
        Self::new(unit, sizes, along, |row, k, count, part, out| {
            // SAFETY: the processor has the instructions, as callers made sure of.
            #[allow(unsafe_code)]
            unsafe {
                pack::left(unit, matrix.from(row, k), [count, part], out);
            }
        })
    }

    pub(super) fn right_for(unit: Unit, matrix: Matrix<'_>, [depth, columns]: [usize; 2]) -> Self {
        let sizes = [columns, depth, COLUMNS, RIGHT_CHUNK];
        Self::new(unit, sizes, false, |column, k, count, part, out| {
            // SAFETY: as above.
            #[allow(unsafe_code)]
            unsafe {
                pack::right(matrix.from(k, column), [part, count], out);
            }
        })
    }

    /// Adds `left[rows, depth]` times this right operand of `columns` to `out`, on this thread.
    pub(crate) fn left_times(
        &self,
        left: Matrix<'_>,
        [rows, depth, columns]: [usize; 3],
        out: &mut [f32],
    ) {
        left.check(rows, depth);
        assert!(self.size == COLUMNS && [self.depth, self.length] == [depth, columns]);
        assert!(out.len() == rows * columns);
        count([rows, depth, columns]);
        let product = Product {
            depth,
            left: Operand::Plain(left),
            right: Operand::Packed(self),
        };
        let place = Place {
            at: out.as_mut_ptr(),
            stride: columns,
        };
        // SAFETY: the processor has the instructions, or this would not be; the rest is checked above.
        #[allow(unsafe_code)]
        unsafe {
            product.write(0..rows, 0..columns, place, Start::There);
        }
    }

    /// Rows or columns, depth, those of a panel, lines of a chunk; `pack` is given the first row or column, the first
    /// value of the depth, and how many of each.
    fn new(
        unit: Unit,
        [length, depth, size, chunk]: [usize; 4],
        along: bool,
        pack: impl Fn(usize, usize, usize, usize, &mut [Line]) + Sync,
    ) -> Self {
        let block = |k: usize| {
            let part = DEPTH.min(depth - k);
            let panel = pack::chunks(part) * chunk;
            made(length.div_ceil(size) * panel, panel, |i, out| {
                let first = i * size;
                pack(first, k, size.min(length - first), part, out);
            })
        };
        Self {
            blocks: (0..depth).step_by(DEPTH).map(block).collect(),
            length,
            depth,
            size,
            chunk,
            along,
            unit,
        }
    }

    /// Panels from that of row or column `first` on, in the block of the depth from `k` on.
    pub(super) fn panels(&self, k: usize, first: usize) -> &[Line] {
        debug_assert!(first.is_multiple_of(self.size));
        let panel = pack::chunks(DEPTH.min(self.depth - k)) * self.chunk;
        &self.blocks[k / DEPTH][first / self.size * panel..]
    }
}
