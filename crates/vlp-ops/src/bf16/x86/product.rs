//! Products of matrices by blocks of the depth, panels and tiles.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::operand::{BLOCK, DEPTH, Packed};
use super::pack::{self, COLUMNS, LANES, Line, RIGHT_CHUNK};
use super::tile::tile_of;
use super::tiles::Tiles;
use super::unit::Unit;
use crate::bf16::{Operand, Place, Product, Start};
use crate::matrix::Matrix;

/// Rows of the left operand's panels that are multiplied with one panel of the right, empty ones too: half of a core's
/// second cache of a megabyte.
const GROUP: usize = 46 * LANES;
/// Columns of a right operand that are packed at a time.
const SPAN: usize = 16 * COLUMNS;
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
        let unit = match &self.left {
            Operand::Packed(packed) => packed.unit,
            Operand::Plain(_) => Unit::here(),
        };
        // SAFETY: the caller's.
        unsafe { self.write_by(unit, rows, columns, place, start) };
    }

    /// As [`Self::write`].
    ///
    /// # Safety
    /// As [`Self::write`]; the processor has the unit.
    #[allow(unsafe_code)]
    unsafe fn write_by(
        &self,
        unit: Unit,
        rows: Range<usize>,
        columns: Range<usize>,
        place: Place,
        start: Start<'_>,
    ) {
        thread_local! {
            static KEPT: Cell<[Vec<Line>; 2]> = Cell::default();
        }
        let mut kept = KEPT.take();
        kept[0].resize(GROUP * BLOCK, Line::default());
        kept[1].resize(SPAN / COLUMNS * BLOCK * RIGHT_CHUNK, Line::default());
        // SAFETY: the caller's.
        unsafe { self.blocks(unit, rows, columns, place, start, &mut kept) };
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
            true => (rows, Unit::here().rows()),
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
    /// As [`Self::write_by`].
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn blocks(
        &self,
        unit: Unit,
        rows: Range<usize>,
        columns: Range<usize>,
        place: Place,
        start: Start<'_>,
        [left_room, right_room]: &mut [Vec<Line>; 2],
    ) {
        // SAFETY: the caller's.
        let tiles = (unit == Unit::Tiles).then(|| unsafe { Tiles::new() });
        let group = GROUP / unit.left_chunk() * unit.rows();
        // All of them where they need no room.
        let span = match &self.right {
            Operand::Packed(_) => columns.len().max(1),
            Operand::Plain(_) => SPAN,
        };
        for k in (0..self.depth).step_by(DEPTH) {
            let part = Part {
                product: self,
                unit,
                tiles: tiles.as_ref(),
                k,
                depth: DEPTH.min(self.depth - k),
                place,
                start,
            };
            for first in columns.clone().step_by(span) {
                let columns = first..columns.end.min(first + span);
                let right = part.right(columns.clone(), right_room);
                for first in rows.clone().step_by(group) {
                    let rows = first..rows.end.min(first + group);
                    let left = part.left(rows.clone(), left_room);
                    // SAFETY: the caller's.
                    unsafe { part.write(rows, columns.clone(), left, right) };
                }
            }
        }
    }
}

/// A part of a product's depth.
struct Part<'a> {
    product: &'a Product<'a>,
    unit: Unit,
    tiles: Option<&'a Tiles>,
    k: usize,
    depth: usize,
    place: Place,
    start: Start<'a>,
}

impl Part<'_> {
    /// Panels from the first of some columns on, packed in `room` where they are not.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn right<'r>(&'r self, columns: Range<usize>, room: &'r mut [Line]) -> &'r [Line] {
        let matrix = match &self.product.right {
            Operand::Packed(packed) => return packed.panels(self.k, columns.start),
            Operand::Plain(matrix) => matrix,
        };
        let panels = room.chunks_exact_mut(pack::chunks(self.depth) * RIGHT_CHUNK);
        for (column, out) in columns.clone().step_by(COLUMNS).zip(panels) {
            let count = COLUMNS.min(columns.end - column);
            pack::right(matrix.from(self.k, column), [self.depth, count], out);
        }
        room
    }

    /// As [`Self::right`], of rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn left<'r>(&'r self, rows: Range<usize>, room: &'r mut [Line]) -> &'r [Line] {
        let matrix = match &self.product.left {
            Operand::Packed(packed) => return packed.panels(self.k, rows.start),
            Operand::Plain(matrix) => matrix,
        };
        let panels = room.chunks_exact_mut(pack::chunks(self.depth) * self.unit.left_chunk());
        for (row, out) in rows.clone().step_by(self.unit.rows()).zip(panels) {
            let count = self.unit.rows().min(rows.end - row);
            pack::left(
                self.unit,
                matrix.from(row, self.k),
                [count, self.depth],
                out,
            );
        }
        room
    }

    /// Some rows and columns of panels that begin with theirs.
    ///
    /// # Safety
    /// As [`Product::write_by`].
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn write(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        left: &[Line],
        right: &[Line],
    ) {
        let along = match &self.product.left {
            Operand::Plain(matrix) => matrix.column_stride == 1,
            Operand::Packed(packed) => packed.along,
        };
        let tile = match along {
            true => tile_of::<LANES, 1>,
            false => tile_of::<1, LANES>,
        };
        let chunks = pack::chunks(self.depth);
        let lefts = left.chunks_exact(chunks * self.unit.left_chunk());
        let rights = right.chunks_exact(chunks * RIGHT_CHUNK);
        for (column, right) in columns.clone().step_by(COLUMNS).zip(rights) {
            let width = COLUMNS.min(columns.end - column);
            for (row, left) in rows.clone().step_by(self.unit.rows()).zip(lefts.clone()) {
                let count = self.unit.rows().min(rows.end - row);
                let place = self.place.from(row, column);
                let start = match self.start {
                    Start::Row(values) if self.k == 0 => Some((values[column..].as_ptr(), 0)),
                    Start::Zero if self.k == 0 => None,
                    _ => Some((place.at.cast_const(), place.stride)),
                };
                // SAFETY: the caller's: a part of the result, and a row as long as it.
                unsafe {
                    match self.tiles {
                        Some(tiles) => tiles.multiply([count, width], left, right, start, place),
                        None => {
                            let pairs = self.depth.div_ceil(2);
                            tile(count)(pairs, left, right, start, place, width);
                        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::route::has_bf16;

    /// Whole numbers, of which all sums are exact: whatever multiplies, the result is the same.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7 + seed) * 2_654_435_761 % 1_000_003 % 17) as f32 - 8.0)
            .collect()
    }

    /// Leaves NaN in the room that operands are packed in: what lies behind an operand's end must not count.
    fn spoil(unit: Unit) {
        let nan = vec![f32::NAN; 64 * DEPTH];
        let mut out = vec![0.0; 64 * 64];
        let product = Product {
            depth: DEPTH,
            left: Operand::Plain(Matrix::of_rows(&nan, DEPTH)),
            right: Operand::Plain(Matrix::of_rows(&nan, 64)),
        };
        let place = Place {
            at: out.as_mut_ptr(),
            stride: 64,
        };
        // SAFETY: the operands hold the shape, and `out` the result.
        #[allow(unsafe_code)]
        unsafe {
            product.write_by(unit, 0..64, 0..64, place, Start::Zero);
        }
    }

    #[test]
    fn units_agree() {
        let units: Vec<Unit> = match (has_bf16(), Unit::here()) {
            (false, _) => return eprintln!("not run: this processor has no AVX-512 BF16"),
            (true, Unit::Vectors) => vec![Unit::Vectors],
            (true, Unit::Tiles) => vec![Unit::Vectors, Unit::Tiles],
        };
        for [rows, depth, columns] in [
            [8, 1, 8],
            [14, 31, 32],
            [15, 32, 33],
            [16, 33, 31],
            [17, 64, 64],
            [32, 95, 32],
            [33, 97, 47],
            [43, 385, 16],
            [800, 800, 70],
        ] {
            let (x, y) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
            let bias = numbers(columns, 3);
            for turned in 0..4 {
                let left = match turned & 1 {
                    0 => Matrix::of_rows(&x, depth),
                    _ => Matrix::of_rows(&x, rows).turned(),
                };
                let right = match turned & 2 {
                    0 => Matrix::of_rows(&y, columns),
                    _ => Matrix::of_rows(&y, depth).turned(),
                };
                let expected: Vec<f32> = (0..rows * columns)
                    .map(|i| {
                        let (row, column) = (i / columns, i % columns);
                        let products = (0..depth)
                            .map(|k| left.from(row, k).values[0] * right.from(k, column).values[0]);
                        products.sum::<f32>() + bias[column]
                    })
                    .collect();
                for unit in &units {
                    for packed in 0..4 {
                        spoil(*unit);
                        let lefts = Packed::left_for(*unit, left, [rows, depth]);
                        let rights = Packed::right_for(*unit, right, [depth, columns]);
                        let product = Product {
                            depth,
                            left: match packed & 1 {
                                0 => Operand::Plain(left),
                                _ => Operand::Packed(&lefts),
                            },
                            right: match packed & 2 {
                                0 => Operand::Plain(right),
                                _ => Operand::Packed(&rights),
                            },
                        };
                        // What lies behind a row of the result stays as it is.
                        let stride = columns + 3;
                        let mut out = vec![f32::NAN; rows * stride];
                        let place = Place {
                            at: out.as_mut_ptr(),
                            stride,
                        };
                        // SAFETY: the operands hold the shape, and `out` the result.
                        #[allow(unsafe_code)]
                        unsafe {
                            let start = Start::Row(&bias);
                            product.write_by(*unit, 0..rows, 0..columns, place, start);
                        }
                        for (row, expected) in out.chunks(stride).zip(expected.chunks(columns)) {
                            assert_eq!(
                                &row[..columns],
                                expected,
                                "{unit:?} {rows} {depth} {columns}"
                            );
                            assert!(row[columns..].iter().all(|value| value.is_nan()));
                        }
                    }
                }
            }
        }
    }
}
