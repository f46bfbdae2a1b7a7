//! Convolution by 3x3 kernels at stride 1 with fewer multiplications.
//!
//! Source: Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray 2015, section 4.1). A tile of 2x2 outputs reads 4x4
//! inputs; inputs and kernel are transformed so that a tile takes 16 multiplications instead of 36. With the points 0, 1, -1
//! and infinity the transforms are sums, and halves of the kernel. With sums over inputs in chunks, rounding lies between
//! that of im2col in chunks and burn's. Tiles of 4x4 outputs would take 36 multiplications for 16 outputs, but their
//! rounding errors are three times as large at the best known points (such as those of Barabasz et al. 2018).
//!
//! Operations are counted as those of the sum over all taps.

mod forward;
mod weight_grad;

use std::ops::Range;

use rayon::prelude::*;

use super::shape::ConvShape;
use crate::cpu::simd::simd_dispatch;

pub(super) use forward::convolve;
pub(super) use weight_grad::weight_grad;

/// Inputs that are summed before they are added to the total, where rounding matters.
pub(super) const INFERENCE_K_CHUNK: usize = 32;
/// Values of a transformed tile of inputs, of a kernel, and of a product of both.
const VALUES: usize = 16;
/// Rows of tiles are processed in multiples of this, the widest vector.
const LANES: usize = 16;

/// Whether the algorithm applies and is faster: there must be enough tiles, and enough channels to outweigh the transforms.
pub(super) fn fits(shape: &ConvShape) -> bool {
    let geometry = &shape.geometry;
    let [rows, columns] = shape.output_size.map(|size| size.div_ceil(2));
    shape.kernel == [3, 3]
        && geometry.stride == [1, 1]
        && geometry.dilation == [1, 1]
        && shape.images * rows * columns >= 128
        && columns >= 4
        && shape.in_channels.min(shape.out_channels) >= 64
}

/// Some rows of tiles. An image has `grid[0]` rows of `grid[1]` tiles.
struct Block<'a> {
    shape: &'a ConvShape,
    grid: [usize; 2],
    /// Rows of tiles, counted through all images.
    rows: Range<usize>,
    /// Tiles from one of the 16 values to the next.
    width: usize,
}

impl<'a> Block<'a> {
    /// All rows of tiles in blocks of equal size, of about `max_tiles` tiles.
    fn all(shape: &'a ConvShape, max_tiles: usize) -> Vec<Self> {
        let grid = shape.output_size.map(|size| size.div_ceil(2));
        let rows = shape.images * grid[0];
        let count = rows.div_ceil(max_tiles.div_ceil(grid[1]));
        let block_rows = rows.div_ceil(count);
        // The vectors of the last row end after its tiles.
        let width = (block_rows * grid[1]).next_multiple_of(LANES) + LANES;
        let block = |first: usize| Self {
            shape,
            grid,
            rows: first..rows.min(first + block_rows),
            width,
        };
        (0..rows).step_by(block_rows).map(block).collect()
    }

    fn tiles(&self) -> usize {
        self.rows.len() * self.grid[1]
    }

    /// Tiles of a row, in whole vectors. Values after the end of a row are overwritten by the next row, or not used.
    #[inline(always)]
    fn row_len(&self) -> usize {
        self.grid[1].next_multiple_of(LANES)
    }

    /// Transformed tiles of all inputs, into `[in, 16, width]`.
    fn transform_inputs(&self, x: &[f32], out: &mut [f32]) {
        let tasks = out.par_chunks_mut(VALUES * self.width).enumerate();
        tasks.for_each(|(channel, out)| {
            simd_dispatch(
                #[inline(always)]
                || self.transform_input(channel, x, out),
            );
        });
    }

    /// Transformed tiles of one input, into `[16, width]`: `B^T d B`.
    #[inline(always)]
    fn transform_input(&self, channel: usize, x: &[f32], out: &mut [f32]) {
        let [height, columns] = self.shape.input_size;
        let [padding_rows, padding_columns] = self.shape.geometry.padding;
        let row_len = self.row_len();
        let padded = 2 * row_len + 2;
        let used_columns = columns.min(padded.saturating_sub(padding_columns));
        let mut buffer = vec![0.0; 5 * padded];
        let (lines, sums) = buffer.split_at_mut(4 * padded);
        for (number, tile) in self.rows.clone().zip((0..).step_by(self.grid[1])) {
            let (image, row) = (number / self.grid[0], number % self.grid[0]);
            let plane = (image * self.shape.in_channels + channel) * height;
            for (i, line) in lines.chunks_exact_mut(padded).enumerate() {
                let input_row = (2 * row + i).checked_sub(padding_rows);
                match input_row.filter(|row| *row < height) {
                    None => line.fill(0.0),
                    Some(row) => line[padding_columns..padding_columns + used_columns]
                        .copy_from_slice(&x[(plane + row) * columns..][..used_columns]),
                }
            }
            let line = |i: usize| &lines[i * padded..][..padded];
            let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
            for (i, out) in out.chunks_exact_mut(4 * self.width).enumerate() {
                match i {
                    0 => map2(sums, a, c, |a, c| a - c),
                    1 => map2(sums, b, c, |b, c| b + c),
                    2 => map2(sums, c, b, |c, b| c - b),
                    _ => map2(sums, b, d, |b, d| b - d),
                }
                let left = sums[..2 * row_len].as_chunks::<2>().0;
                let right = sums[2..].as_chunks::<2>().0;
                let [a, b, c, d] = split_in_four(out, self.width);
                let tiles = tile..tile + row_len;
                let (a, b) = (&mut a[tiles.clone()], &mut b[tiles.clone()]);
                let (c, d) = (&mut c[tiles.clone()], &mut d[tiles]);
                let out = a.iter_mut().zip(b).zip(c).zip(d);
                for ((((a, b), c), d), (left, right)) in out.zip(left.iter().zip(right)) {
                    *a = left[0] - right[0];
                    *b = left[1] + right[0];
                    *c = right[0] - left[1];
                    *d = left[1] - right[1];
                }
            }
        }
    }
}

/// The first four rows of `length` values.
#[inline(always)]
fn split_in_four(values: &mut [f32], length: usize) -> [&mut [f32]; 4] {
    let (ab, cd) = values[..4 * length].split_at_mut(2 * length);
    let ((a, b), (c, d)) = (ab.split_at_mut(length), cd.split_at_mut(length));
    [a, b, c, d]
}

#[inline(always)]
fn map2(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = f(*a, *b);
    }
}
