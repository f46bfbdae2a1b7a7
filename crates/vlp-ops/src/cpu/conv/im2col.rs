//! The im2col matrix: a row for each input channel and tap, a column for each position.

use std::ops::Range;

use super::shape::ConvShape;

/// A row of the im2col matrix: input channel, row and column of the kernel.
pub(super) type Tap = (usize, usize, usize);

/// Rows of the im2col matrix from `first_tap` on, of positions `first..first + count`, into `out` `[taps, count]`.
pub(super) fn im2col(
    shape: &ConvShape,
    x: &[f32],
    first_tap: usize,
    first: usize,
    count: usize,
    out: &mut [f32],
) {
    for (i, row) in out.chunks_mut(count).enumerate() {
        gather(shape, x, shape.tap(first_tap + i), first, row);
    }
}

/// The part of an output row inside a range of positions.
struct Segment {
    image: usize,
    row: usize,
    first_column: usize,
    /// Offset in the range.
    offset: usize,
    count: usize,
}

/// Splits positions `first..first + count`, counted through all images, into segments of output rows.
#[inline(always)]
fn for_segments(shape: &ConvShape, first: usize, count: usize, mut f: impl FnMut(Segment)) {
    let [rows, columns] = shape.output_size;
    let (line, mut column) = (first / columns, first % columns);
    let (mut image, mut row) = (line / rows, line % rows);
    let mut offset = 0;
    while offset < count {
        let segment = (columns - column).min(count - offset);
        f(Segment {
            image,
            row,
            first_column: column,
            offset,
            count: segment,
        });
        offset += segment;
        column = 0;
        row += 1;
        if row == rows {
            (row, image) = (0, image + 1);
        }
    }
}

/// The range in which a tap is inside the input, the same for all rows.
struct TapRange {
    /// Output columns whose tap is inside the input.
    from: usize,
    to: usize,
    /// Offset of the tap in the (dilated) kernel.
    column: usize,
    row: usize,
}

impl TapRange {
    #[inline(always)]
    fn new(shape: &ConvShape, (_, i, j): Tap) -> Self {
        let geometry = &shape.geometry;
        let (stride, padding) = (geometry.stride[1], geometry.padding[1]);
        let column = j * geometry.dilation[1];
        let (low, high) = (
            padding.saturating_sub(column),
            (shape.input_size[1] + padding).saturating_sub(column),
        );
        let (from, to) = match stride {
            1 => (low, high),
            _ => (low.div_ceil(stride), high.div_ceil(stride)),
        };
        Self {
            from,
            to,
            column,
            row: i * geometry.dilation[0],
        }
    }

    /// The input row under the tap, the segment's columns whose tap is inside that row, and the input column of the first of
    /// them. `None` if the row is padding.
    #[inline(always)]
    fn inside(&self, shape: &ConvShape, segment: &Segment) -> Option<(usize, Range<usize>, usize)> {
        let geometry = &shape.geometry;
        let row = segment.row * geometry.stride[0] + self.row;
        let row = row.checked_sub(geometry.padding[0])?;
        if row >= shape.input_size[0] {
            return None;
        }
        let (first, end) = (segment.first_column, segment.first_column + segment.count);
        let from = self.from.clamp(first, end);
        let to = self.to.clamp(from, end);
        let column = (from * geometry.stride[1] + self.column).saturating_sub(geometry.padding[1]);
        Some((row, from - first..to - first, column))
    }
}

/// `out.copy_from_slice(source)`, without a call for the short rows of small images.
#[inline(always)]
fn copy(out: &mut [f32], source: &[f32]) {
    /// Copies whole registers; the last one overlaps the one before it.
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

/// A row of the im2col matrix from position `first` on; zeros in the padding.
#[inline(always)]
pub(super) fn gather(shape: &ConvShape, x: &[f32], tap: Tap, first: usize, out: &mut [f32]) {
    let [height, width] = shape.input_size;
    let stride = shape.geometry.stride[1];
    let tap_range = TapRange::new(shape, tap);
    for_segments(shape, first, out.len(), |segment| {
        let out = &mut out[segment.offset..segment.offset + segment.count];
        let Some((row, range, column)) = tap_range.inside(shape, &segment) else {
            out.fill(0.0);
            return;
        };
        out[..range.start].iter_mut().for_each(|out| *out = 0.0);
        out[range.end..].iter_mut().for_each(|out| *out = 0.0);
        let out = &mut out[range];
        if out.is_empty() {
            return;
        }
        let plane = segment.image * shape.in_channels + tap.0;
        let start = (plane * height + row) * width + column;
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

/// Adds a row of the gradient of the im2col matrix, from position `first` of one image on, to `plane`, a channel of that
/// image.
#[inline(always)]
pub(super) fn scatter(
    shape: &ConvShape,
    plane: &mut [f32],
    tap: Tap,
    first: usize,
    values: &[f32],
) {
    let stride = shape.geometry.stride[1];
    let tap_range = TapRange::new(shape, tap);
    for_segments(shape, first, values.len(), |segment| {
        let Some((row, range, column)) = tap_range.inside(shape, &segment) else {
            return;
        };
        let values = &values[segment.offset..segment.offset + segment.count][range];
        if values.is_empty() {
            return;
        }
        let start = row * shape.input_size[1] + column;
        let target = &mut plane[start..start + (values.len() - 1) * stride + 1];
        for (target, value) in target.iter_mut().step_by(stride).zip(values) {
            *target += *value;
        }
    });
}
