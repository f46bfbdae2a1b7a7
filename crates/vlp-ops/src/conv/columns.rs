//! Columns of a map: every tap of the kernel a row, every position of the window a column.

use super::sizes::Sizes;

/// A tap: channel, row and column of the kernel.
pub(super) type Tap = (usize, usize, usize);

/// The part of one output row that lies in a run of positions.
struct Piece {
    image: usize,
    row: usize,
    first: usize,
    /// Where it starts in the run.
    at: usize,
    count: usize,
}

/// Splits positions `first..first + count`, counted through all images, into pieces of output rows.
#[inline(always)]
fn pieces(sizes: &Sizes, first: usize, count: usize, mut f: impl FnMut(Piece)) {
    let [rows, columns] = sizes.positions;
    let (line, mut column) = (first / columns, first % columns);
    let (mut image, mut row) = (line / rows, line % rows);
    let mut at = 0;
    while at < count {
        let part = (columns - column).min(count - at);
        f(Piece {
            image,
            row,
            first: column,
            at,
            count: part,
        });
        at += part;
        column = 0;
        row += 1;
        if row == rows {
            (row, image) = (0, image + 1);
        }
    }
}

/// Where a tap lies inside the map, the same for all rows.
struct Reach {
    /// Output columns whose tap lies inside.
    from: usize,
    to: usize,
    /// The tap's distance from the window's first column and row.
    column: usize,
    row: usize,
}

impl Reach {
    #[inline(always)]
    fn new(sizes: &Sizes, (_, i, j): Tap) -> Self {
        let window = &sizes.window;
        let (stride, padding) = (window.stride[1], window.padding[1]);
        let column = j * window.dilation[1];
        let (low, high) = (
            padding.saturating_sub(column),
            (sizes.map[1] + padding).saturating_sub(column),
        );
        let (from, to) = match stride {
            1 => (low, high),
            _ => (low.div_ceil(stride), high.div_ceil(stride)),
        };
        Self {
            from,
            to,
            column,
            row: i * window.dilation[0],
        }
    }

    /// The map's row under the tap, and the piece's columns `from..to` whose tap lies inside it, with the map's
    /// column under the first of them.
    #[inline(always)]
    fn inside(
        &self,
        sizes: &Sizes,
        piece: &Piece,
    ) -> Option<(usize, std::ops::Range<usize>, usize)> {
        let window = &sizes.window;
        let row = (piece.row * window.stride[0] + self.row).checked_sub(window.padding[0])?;
        if row >= sizes.map[0] {
            return None;
        }
        let from = self.from.clamp(piece.first, piece.first + piece.count);
        let to = self.to.clamp(from, piece.first + piece.count);
        let column = (from * window.stride[1] + self.column).saturating_sub(window.padding[1]);
        Some((row, from - piece.first..to - piece.first, column))
    }
}

/// `out.copy_from_slice(source)`, without a call for the short rows of small maps.
#[inline(always)]
fn copy(out: &mut [f32], source: &[f32]) {
    /// Copies of whole registers, the last one over what the one before wrote.
    #[inline(always)]
    fn registers<const N: usize>(out: &mut [f32], source: &[f32]) {
        let end = out.len() - N;
        for (out, source) in out.chunks_exact_mut(N).zip(source.chunks_exact(N)) {
            out.copy_from_slice(source);
        }
        out[end..].copy_from_slice(&source[end..]);
    }
    match out.len() {
        0..4 => out.iter_mut().zip(source).for_each(|(out, v)| *out = *v),
        4..16 => registers::<4>(out, source),
        16..256 => registers::<16>(out, source),
        _ => out.copy_from_slice(source),
    }
}

/// What the window at positions `first..` sees through a tap.
#[inline(always)]
pub(super) fn gather(sizes: &Sizes, x: &[f32], tap: Tap, first: usize, out: &mut [f32]) {
    let [height, width] = sizes.map;
    let stride = sizes.window.stride[1];
    let reach = Reach::new(sizes, tap);
    pieces(sizes, first, out.len(), |piece| {
        let out = &mut out[piece.at..piece.at + piece.count];
        let Some((row, range, column)) = reach.inside(sizes, &piece) else {
            out.fill(0.0);
            return;
        };
        out[..range.start].iter_mut().for_each(|out| *out = 0.0);
        out[range.end..].iter_mut().for_each(|out| *out = 0.0);
        let out = &mut out[range];
        if out.is_empty() {
            return;
        }
        let start = ((piece.image * sizes.input + tap.0) * height + row) * width + column;
        if stride == 1 {
            copy(out, &x[start..start + out.len()]);
        } else {
            let source = &x[start..start + (out.len() - 1) * stride + 1];
            for (out, value) in out.iter_mut().zip(source.iter().step_by(stride)) {
                *out = *value;
            }
        }
    });
}

/// Adds to `plane`, one channel of one image, what the window's positions `first..` of that image give back
/// through a tap.
#[inline(always)]
pub(super) fn scatter(sizes: &Sizes, plane: &mut [f32], tap: Tap, first: usize, values: &[f32]) {
    let stride = sizes.window.stride[1];
    let reach = Reach::new(sizes, tap);
    pieces(sizes, first, values.len(), |piece| {
        let Some((row, range, column)) = reach.inside(sizes, &piece) else {
            return;
        };
        let values = &values[piece.at..piece.at + piece.count][range];
        if values.is_empty() {
            return;
        }
        let start = row * sizes.map[1] + column;
        let target = &mut plane[start..start + (values.len() - 1) * stride + 1];
        for (target, value) in target.iter_mut().step_by(stride).zip(values) {
            *target += *value;
        }
    });
}
