//! Convolution by 3x3 kernels at stride 1 in fewer multiplications.
//!
//! Source: Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray 2015, section 4.1): tiles of 2x2 outputs see 4x4
//! inputs; both and the kernel are transformed so that a tile takes 16 products instead of 36. Points 0, 1, -1 and
//! infinity make all transforms sums, and halves of the kernel: with sums over inputs in runs, rounding lies between that
//! of the forward pass by columns, whose runs are as short, and burn's. Tiles of 4x4 outputs would take 36 products for 16 outputs, but round three times worse at
//! the best points we found (of the kind of Barabasz et al. 2018).
//!
//! Needed as long as no product library brings its own. Operations are counted as those of the sum over all taps.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::sizes::Sizes;
use crate::finish::Finish;
use crate::flex::scratch;
use crate::matrix::{Matrix, Sheet, uncounted};
use crate::route::in_bf16;

/// Inputs summed in a run before they join the total: rounding grows with the longest run.
const RUN: usize = 32;
/// Values that a tile of inputs, a kernel and a tile of products take.
const VALUES: usize = 16;
/// Floats of a block's tiles, of all inputs and outputs: what the third cache holds beside the kernels.
const BLOCK: usize = 1 << 21;
/// Fewest tiles of a block where there are more: what pays for reading the kernels.
const LEAST: usize = 256;
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
        && sizes.images * rows * columns > 128
        && columns >= 4
        && sizes.input.min(sizes.output) >= 64
}

/// `[images, out, positions]` from `x` and `weight`, finished.
pub(super) fn convolve(
    sizes: &Sizes,
    x: &[f32],
    weight: &[f32],
    finish: Option<&Finish<'_>>,
) -> Vec<f32> {
    sizes.count();
    let (input, output) = (sizes.input, sizes.output);
    let grid = sizes.positions.map(|p| p.div_ceil(2));
    let rows = sizes.images * grid[0];
    let most = (BLOCK / (VALUES * (input + output))).max(LEAST);
    let count = rows.div_ceil(most.div_ceil(grid[1]));
    let step = rows.div_ceil(count);
    // The last row's vectors end behind its tiles.
    let width = (step * grid[1]).next_multiple_of(LANES) + LANES;
    // Not at distances of a power of two, which share their place in the caches.
    let stride = VALUES * input + LANES;
    let (arch, size) = (Arch::new(), VALUES * width);
    let write = |sheet: &Sheet| {
        scratch(stride * output + size * (input + output), |space| {
            let (kernels, space) = space.split_at_mut(stride * output);
            let (sources, products) = space.split_at_mut(size * input);
            let tasks = kernels.par_chunks_mut(stride);
            let tasks = tasks.zip(weight.par_chunks(9 * input));
            tasks.for_each(|(out, weight)| arch.dispatch(Stage::Kernels(weight, out)));
            for first in (0..rows).step_by(step) {
                let block = &Block {
                    sizes,
                    grid,
                    rows: first..rows.min(first + step),
                    width,
                    finish,
                };
                let tasks = sources.par_chunks_mut(size).enumerate();
                tasks.for_each(|(i, out)| arch.dispatch(Stage::Sources(block, i, x, out)));
                let tasks = products.par_chunks_mut(output * width).enumerate();
                tasks.for_each(|(value, out)| {
                    for first in (0..input).step_by(RUN) {
                        let part = RUN.min(input - first);
                        let shape = [output, part, block.rows.len() * grid[1]];
                        let left = Matrix::of_rows(&kernels[value * input + first..], stride);
                        let right = Matrix::of_rows(&sources[first * size + value * width..], size);
                        uncounted(shape, out, width, first > 0, left, right);
                    }
                });
                let tasks = (0..output).into_par_iter();
                tasks.for_each(|i| arch.dispatch(Stage::Results(block, i, products, sheet)));
            }
        });
    };
    // SAFETY: a block's last tasks write all columns of its rows, each of one output. All blocks hold all rows.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(sizes.images * output * sizes.area(), write)
    }
}

/// What is done with wide instructions: all inlined into one function.
enum Stage<'a> {
    /// Kernels of one output, from its weight.
    Kernels(&'a [f32], &'a mut [f32]),
    /// Tiles of one input, from all maps.
    Sources(&'a Block<'a>, usize, &'a [f32], &'a mut [f32]),
    /// Positions of one output, from all products.
    Results(&'a Block<'a>, usize, &'a [f32], &'a Sheet),
}

impl WithSimd for Stage<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self {
            Self::Kernels(weight, out) => kernels(weight, out),
            Self::Sources(block, channel, x, out) => block.sources(channel, x, out),
            Self::Results(block, channel, products, sheet) => {
                block.results(channel, products, sheet);
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

/// `[16, in]` from one output's `[in, 3, 3]`: `G g G^T`.
#[inline(always)]
fn kernels(weight: &[f32], out: &mut [f32]) {
    let count = weight.len() / 9;
    let mut space = vec![0.0; (9 + 12) * count];
    let (taps, columns) = space.split_at_mut(9 * count);
    for (i, taps) in taps.chunks_exact_mut(count).enumerate() {
        for (tap, kernel) in taps.iter_mut().zip(weight.as_chunks::<9>().0) {
            *tap = kernel[i];
        }
    }
    let tap = |i: usize| &taps[i * count..][..count];
    for (j, out) in columns.chunks_exact_mut(4 * count).enumerate() {
        kernel([tap(j), tap(3 + j), tap(6 + j)], quarters(out, count));
    }
    let column = |j: usize, i: usize| &columns[(4 * j + i) * count..][..count];
    for (i, out) in out[..VALUES * count]
        .chunks_exact_mut(4 * count)
        .enumerate()
    {
        kernel(
            [column(0, i), column(1, i), column(2, i)],
            quarters(out, count),
        );
    }
}

/// `G g` of many columns.
#[inline(always)]
fn kernel([a, b, c]: [&[f32]; 3], [first, sum, difference, last]: [&mut [f32]; 4]) {
    first.copy_from_slice(a);
    last.copy_from_slice(c);
    for ((((sum, difference), a), b), c) in sum.iter_mut().zip(difference).zip(a).zip(b).zip(c) {
        let (even, odd) = (0.5 * (a + c), 0.5 * b);
        *sum = even + odd;
        *difference = even - odd;
    }
}

/// Rows of tiles, `grid[1]` tiles each, of the `grid[0]` rows of every image; values of a kind at a distance of `width`.
struct Block<'a> {
    sizes: &'a Sizes,
    grid: [usize; 2],
    rows: Range<usize>,
    width: usize,
    finish: Option<&'a Finish<'a>>,
}

impl Block<'_> {
    /// Tiles of a row in whole vectors. What lies behind the row's end is overwritten by the next one, or not used.
    #[inline(always)]
    fn length(&self) -> usize {
        self.grid[1].next_multiple_of(LANES)
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

    /// One output's positions from products `[16, out, width]`: `A^T m A`.
    #[inline(always)]
    fn results(&self, channel: usize, products: &[f32], sheet: &Sheet) {
        let [height, columns] = self.sizes.positions;
        let length = self.length();
        let mut space = vec![0.0; 6 * length];
        let (sums, values) = space.split_at_mut(4 * length);
        let (even, odd) = values.split_at_mut(length);
        for (number, at) in self.rows.clone().zip((0..).step_by(self.grid[1])) {
            let (image, row) = (number / self.grid[0], number % self.grid[0]);
            let plane = (image * self.sizes.output + channel) * height;
            let tile = |value: usize| {
                let start = (value * self.sizes.output + channel) * self.width + at;
                &products[start..][..length]
            };
            for i in 0..2.min(height - 2 * row) {
                for (j, sums) in sums.chunks_exact_mut(length).enumerate() {
                    let (a, b, c) = (tile(4 * i + j), tile(4 * i + 4 + j), tile(4 * i + 8 + j));
                    match i {
                        0 => add3(sums, a, b, c, |a, b, c| a + (b + c)),
                        _ => add3(sums, a, b, c, |a, b, c| a - b - c),
                    }
                }
                let [a, b, c, d] = quarters(sums, length);
                add3(even, a, b, c, |a, b, c| a + (b + c));
                add3(odd, b, c, d, |b, c, d| b - c - d);
                let start = (plane + 2 * row + i) * columns;
                // SAFETY: a row of this output.
                #[allow(unsafe_code)]
                let out = unsafe { sheet.row(start, columns) };
                let (pairs, rest) = out.as_chunks_mut::<2>();
                for ((out, even), odd) in pairs.iter_mut().zip(&*even).zip(&*odd) {
                    *out = [MaybeUninit::new(*even), MaybeUninit::new(*odd)];
                }
                for out in rest {
                    out.write(even[columns / 2]);
                }
                if let Some(finish) = self.finish {
                    // SAFETY: the same row, written above.
                    #[allow(unsafe_code)]
                    finish.run(channel, start, unsafe { sheet.written(start, columns) });
                }
            }
        }
    }
}

#[inline(always)]
fn add(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = f(*a, *b);
    }
}

#[inline(always)]
fn add3(out: &mut [f32], a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32) {
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = f(*a, *b, *c);
    }
}
