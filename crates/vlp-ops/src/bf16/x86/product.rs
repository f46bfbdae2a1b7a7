//! Products of matrices by blocks of the depth, panels and tiles.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::operand::{BLOCK, DEPTH, Packed};
use super::pack::{self, COLUMNS, LANES, LEFT_CHUNK, RIGHT_CHUNK, ROWS};
use super::tile::tile_of;
use crate::bf16::{Operand, Place, Product, Start};
use crate::matrix::Matrix;

/// Panels of the left operand that are multiplied with one of the right: half of a core's second cache.
const GROUP: usize = 46;
/// Parts of a product aimed at, to share among cores.
const PARTS: usize = 8;
/// Fewer multiplications than these are one part.
const SMALL: usize = 1 << 20;

impl Product<'_> {
    /// Some rows and columns of the result, added to `start`, on this thread. The first row of a packed operand is the
    /// first of a panel, the first column likewise. `place` is that of the whole result.
    ///
    /// # Safety
    /// [`pays`](crate::bf16::pays) has said that the processor has the instructions; the operands hold the depth, the rows
    /// and the columns, `start` a row; rows and columns of `place` may be written, and read where they are the start.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        place: Place,
        start: Start<'_>,
    ) {
        thread_local! {
            static KEPT: Cell<[Vec<u32>; 2]> = Cell::default();
        }
        let mut kept = KEPT.take();
        kept[0].resize(GROUP * BLOCK * LEFT_CHUNK, 0);
        kept[1].resize(BLOCK * RIGHT_CHUNK, 0);
        // SAFETY: the caller's.
        unsafe { self.blocks(rows, columns, place, start, &mut kept) };
        KEPT.set(kept);
    }

    /// The whole product of plain operands on all threads. Parts are rows or columns, whatever is more; the operand that
    /// all of them need is packed beforehand. `done` is told the rows and columns of a part as soon as it is written.
    ///
    /// # Safety
    /// As [`Self::write`].
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write_in_parts(
        [rows, depth, columns]: [usize; 3],
        left: Matrix<'_>,
        right: Matrix<'_>,
        place: Place,
        start: Start<'_>,
        done: &(impl Fn(Range<usize>, Range<usize>) + Sync),
    ) {
        let by_rows = rows > columns;
        let shared = match by_rows {
            _ if rows * depth * columns <= SMALL => None,
            true => Packed::right(right, [depth, columns]),
            false => Packed::left(left, [rows, depth]),
        };
        let (length, grain) = match by_rows {
            true => (rows, ROWS),
            false => (columns, COLUMNS),
        };
        let (mut left, mut right) = (Operand::Plain(left), Operand::Plain(right));
        let mut size = length;
        if let Some(shared) = &shared {
            size = length.div_ceil(PARTS).next_multiple_of(grain);
            match by_rows {
                true => right = Operand::Packed(shared),
                false => left = Operand::Packed(shared),
            }
        }
        let product = Product { depth, left, right };
        let write = |rows: Range<usize>, columns: Range<usize>| {
            // SAFETY: the caller's; parts do not overlap.
            unsafe { product.write(rows.clone(), columns.clone(), place, start) };
            done(rows, columns);
        };
        if size >= length {
            return write(0..rows, 0..columns);
        }
        let firsts: Vec<usize> = (0..length).step_by(size).collect();
        firsts.into_par_iter().for_each(|first| {
            let part = first..length.min(first + size);
            match by_rows {
                true => write(part, 0..columns),
                false => write(0..rows, part),
            }
        });
    }

    /// # Safety
    /// As [`Self::write`].
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn blocks(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        place: Place,
        start: Start<'_>,
        [left_room, right_room]: &mut [Vec<u32>; 2],
    ) {
        let depth = self.depth;
        let along = match &self.left {
            Operand::Plain(matrix) => matrix.column_stride == 1,
            Operand::Packed(packed) => packed.along,
        };
        let tile = match along {
            true => tile_of::<LANES, 1>,
            false => tile_of::<1, LANES>,
        };
        for k in (0..depth).step_by(DEPTH) {
            let part = DEPTH.min(depth - k);
            let (left_size, right_size) = (
                pack::chunks(part) * LEFT_CHUNK,
                pack::chunks(part) * RIGHT_CHUNK,
            );
            for group in rows.clone().step_by(GROUP * ROWS) {
                let end = rows.end.min(group + GROUP * ROWS);
                let left = match &self.left {
                    Operand::Packed(packed) => packed.panels(k, group),
                    Operand::Plain(matrix) => {
                        let panels = left_room.chunks_exact_mut(left_size);
                        for (row, panel) in (group..end).step_by(ROWS).zip(panels) {
                            let count = ROWS.min(end - row);
                            pack::left(matrix.from(row, k), [count, part], panel);
                        }
                        &left_room[..]
                    }
                };
                for column in columns.clone().step_by(COLUMNS) {
                    let width = COLUMNS.min(columns.end - column);
                    let right = match &self.right {
                        Operand::Packed(packed) => packed.panels(k, column),
                        Operand::Plain(matrix) => {
                            pack::right(matrix.from(k, column), [part, width], right_room);
                            &right_room[..]
                        }
                    };
                    let lefts = left.chunks_exact(left_size);
                    for (row, left) in (group..end).step_by(ROWS).zip(lefts) {
                        let place = place.from(row, column);
                        let start = match start {
                            Start::Row(values) if k == 0 => Some((values[column..].as_ptr(), 0)),
                            Start::Zero if k == 0 => None,
                            _ => Some((place.at.cast_const(), place.stride)),
                        };
                        let pairs = part.div_ceil(2);
                        let tile = tile(ROWS.min(end - row));
                        // SAFETY: the caller's: a part of the result, and a row as long as it.
                        unsafe { tile(pairs, left, &right[..right_size], start, place, width) };
                    }
                }
            }
        }
    }
}

impl Place {
    fn from(self, row: usize, column: usize) -> Self {
        Self {
            at: self.at.wrapping_add(row * self.stride + column),
            ..self
        }
    }
}
