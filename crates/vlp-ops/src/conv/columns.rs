//! Columns of a map: every tap of the kernel a row, every position of the window a column.

use super::kernels::Sizes;

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
    let mut at = 0;
    while at < count {
        let position = first + at;
        let (row, column) = (position / columns, position % columns);
        let part = (columns - column).min(count - at);
        f(Piece {
            image: row / rows,
            row: row % rows,
            first: column,
            at,
            count: part,
        });
        at += part;
    }
}

/// The map's row under a tap, and the piece's columns `from..to` whose tap lies inside it, with the map's column
/// under the first of them.
#[inline(always)]
fn inside(
    sizes: &Sizes,
    (_, i, j): Tap,
    piece: &Piece,
) -> Option<(usize, std::ops::Range<usize>, usize)> {
    let window = &sizes.window;
    let row =
        (piece.row * window.stride[0] + i * window.dilation[0]).checked_sub(window.padding[0])?;
    if row >= sizes.map[0] {
        return None;
    }
    let (stride, padding, tap) = (window.stride[1], window.padding[1], j * window.dilation[1]);
    let low = padding.saturating_sub(tap).div_ceil(stride);
    let high = (sizes.map[1] + padding)
        .saturating_sub(tap)
        .div_ceil(stride);
    let from = low.clamp(piece.first, piece.first + piece.count);
    let to = high.clamp(from, piece.first + piece.count);
    let column = (from * stride + tap).saturating_sub(padding);
    Some((row, from - piece.first..to - piece.first, column))
}

/// What the window at positions `first..` sees through a tap.
#[inline(always)]
pub(super) fn gather(sizes: &Sizes, x: &[f32], tap: Tap, first: usize, out: &mut [f32]) {
    let [height, width] = sizes.map;
    let stride = sizes.window.stride[1];
    pieces(sizes, first, out.len(), |piece| {
        let out = &mut out[piece.at..piece.at + piece.count];
        let Some((row, range, column)) = inside(sizes, tap, &piece) else {
            out.fill(0.0);
            return;
        };
        out[..range.start].fill(0.0);
        out[range.end..].fill(0.0);
        let out = &mut out[range];
        if out.is_empty() {
            return;
        }
        let start = ((piece.image * sizes.input + tap.0) * height + row) * width + column;
        if stride == 1 {
            out.copy_from_slice(&x[start..start + out.len()]);
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
    pieces(sizes, first, values.len(), |piece| {
        let Some((row, range, column)) = inside(sizes, tap, &piece) else {
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
