//! Convolution by 3x3 kernels at stride 1 in fewer multiplications.
//!
//! Source: Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray 2015, section 4.1): tiles of 2x2 outputs see 4x4
//! inputs; both and the kernel are transformed so that a tile takes 16 products instead of 36. Points 0, 1, -1 and
//! infinity make all transforms sums, and halves of the kernel: with sums over inputs in runs, as of outputs, rounding lies
//! between that of the forward pass by columns, whose runs are as short, and burn's. Tiles of 4x4 outputs would take 36
//! products for 16 outputs, but round three times worse at the best points we found (of the kind of Barabasz et al. 2018).
//!
//! Needed as long as no product library brings its own. Operations are counted as those of the sum over all taps.

mod forward;
mod weight;

use std::ops::Range;

use rayon::prelude::*;

use super::sizes::Sizes;
use crate::flex::wide;
use crate::route::in_bf16;

pub(super) use forward::convolve;
pub(super) use weight::to_weight;

/// Inputs summed in a run before they join the total, where rounding matters: it grows with the longest run.
pub(super) const RUN: usize = 32;
/// Values that a tile of inputs, a kernel and a tile of products take.
const VALUES: usize = 16;
/// Rows of tiles are worked on in a multiple of it, the widest vector.
const LANES: usize = 16;

/// Whether the convolution can be done so and is faster: enough tiles, and enough channels to pay for the transforms.
pub(super) fn pays(sizes: &Sizes) -> bool {
    let window = &sizes.window;
    let [rows, columns] = sizes.positions.map(|p| p.div_ceil(2));
    // In bf16 the sum over taps is faster, and transforms would add to its rounding.
    !in_bf16()
        && sizes.kernel == [3, 3]
        && window.stride == [1, 1]
        && window.dilation == [1, 1]
        && sizes.images * rows * columns >= 128
        && columns >= 4
        && sizes.input.min(sizes.output) >= 64
}

/// Rows of tiles, `grid[1]` tiles each, of the `grid[0]` rows of every image; values of a kind at a distance of `width`.
struct Block<'a> {
    sizes: &'a Sizes,
    grid: [usize; 2],
    rows: Range<usize>,
    width: usize,
}

impl<'a> Block<'a> {
    /// All rows of tiles in blocks of like size, of `most` tiles about.
    fn all(sizes: &'a Sizes, most: usize) -> Vec<Self> {
        let grid = sizes.positions.map(|p| p.div_ceil(2));
        let rows = sizes.images * grid[0];
        let count = rows.div_ceil(most.div_ceil(grid[1]));
        let step = rows.div_ceil(count);
        // The last row's vectors end behind its tiles.
        let width = (step * grid[1]).next_multiple_of(LANES) + LANES;
        let block = |first: usize| Self {
            sizes,
            grid,
            rows: first..rows.min(first + step),
            width,
        };
        (0..rows).step_by(step).map(block).collect()
    }

    fn tiles(&self) -> usize {
        self.rows.len() * self.grid[1]
    }

    /// Tiles of a row in whole vectors. What lies behind the row's end is overwritten by the next one, or not used.
    #[inline(always)]
    fn length(&self) -> usize {
        self.grid[1].next_multiple_of(LANES)
    }

    /// All inputs' tiles into `[in, 16, width]`.
    fn all_sources(&self, x: &[f32], out: &mut [f32]) {
        let tasks = out.par_chunks_mut(VALUES * self.width).enumerate();
        tasks.for_each(|(channel, out)| {
            wide(
                #[inline(always)]
                || self.sources(channel, x, out),
            );
        });
    }

    /// One input's tiles into `[16, width]`: `B^T d B`.
    #[inline(always)]
    fn sources(&self, channel: usize, x: &[f32], out: &mut [f32]) {
        let [height, columns] = self.sizes.map;
        let [above, before] = self.sizes.window.padding;
        let length = self.length();
        let padded = 2 * length + 2;
        let seen = columns.min(padded.saturating_sub(before));
        let mut space = vec![0.0; 5 * padded];
        let (lines, sums) = space.split_at_mut(4 * padded);
        for (number, at) in self.rows.clone().zip((0..).step_by(self.grid[1])) {
            let (image, row) = (number / self.grid[0], number % self.grid[0]);
            let plane = (image * self.sizes.input + channel) * height;
            for (i, line) in lines.chunks_exact_mut(padded).enumerate() {
                match (2 * row + i).checked_sub(above).filter(|r| *r < height) {
                    None => line.fill(0.0),
                    Some(row) => line[before..before + seen]
                        .copy_from_slice(&x[(plane + row) * columns..][..seen]),
                }
            }
            let line = |i: usize| &lines[i * padded..][..padded];
            let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
            for (i, out) in out.chunks_exact_mut(4 * self.width).enumerate() {
                match i {
                    0 => add(sums, a, c, |a, c| a - c),
                    1 => add(sums, b, c, |b, c| b + c),
                    2 => add(sums, c, b, |c, b| c - b),
                    _ => add(sums, b, d, |b, d| b - d),
                }
                let left = sums[..2 * length].as_chunks::<2>().0;
                let right = sums[2..].as_chunks::<2>().0;
                let [a, b, c, d] = quarters(out, self.width);
                let (a, b) = (&mut a[at..at + length], &mut b[at..at + length]);
                let (c, d) = (&mut c[at..at + length], &mut d[at..at + length]);
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

/// Four rows of `length`.
#[inline(always)]
fn quarters(values: &mut [f32], length: usize) -> [&mut [f32]; 4] {
    let (ab, cd) = values[..4 * length].split_at_mut(2 * length);
    let ((a, b), (c, d)) = (ab.split_at_mut(length), cd.split_at_mut(length));
    [a, b, c, d]
}

#[inline(always)]
fn add(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = f(*a, *b);
    }
}
