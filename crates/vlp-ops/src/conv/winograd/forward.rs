//! Outputs: kernels and tiles of inputs are transformed and multiplied, the products transformed to positions.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Block, LANES, VALUES, quarters};
use crate::conv::kernels::Weight;
use crate::conv::sizes::Sizes;
use crate::finish::Finish;
use crate::flex::{scratch, wide};
use crate::matrix::{Matrix, Sheet, uncounted};

/// Floats of a block's tiles, of all inputs and outputs: what the third cache holds beside the kernels.
const BLOCK: usize = 1 << 21;
/// Fewest tiles of a block where there are more: what pays for reading the kernels.
const LEAST: usize = 256;

/// `[images, out, positions]` from `x` and `weight`, sums of `run` inputs joined, finished.
pub(in crate::conv) fn convolve(
    sizes: &Sizes,
    x: &[f32],
    weight: Weight<'_>,
    run: usize,
    finish: Option<&Finish<'_>>,
) -> Vec<f32> {
    sizes.count();
    let (input, output) = (sizes.input, sizes.output);
    let most = (BLOCK / (VALUES * (input + output))).max(LEAST);
    let blocks = Block::all(sizes, most);
    let width = blocks.first().map_or(0, |block| block.width);
    // Not at distances of a power of two, which share their place in the caches.
    let stride = VALUES * input + LANES;
    let size = VALUES * width;
    let write = |sheet: &Sheet| {
        scratch(stride * output + size * (input + output), |space| {
            let (kernels, space) = space.split_at_mut(stride * output);
            let (sources, products) = space.split_at_mut(size * input);
            let tasks = kernels.par_chunks_mut(stride).enumerate();
            tasks.for_each(|(i, out)| {
                wide(
                    #[inline(always)]
                    || self::kernels(weight, i, input, out),
                );
            });
            for block in &blocks {
                block.all_sources(x, sources);
                let tasks = products.par_chunks_mut(output * width).enumerate();
                tasks.for_each(|(value, out)| {
                    for first in (0..input).step_by(run) {
                        let part = run.min(input - first);
                        let shape = [output, part, block.tiles()];
                        let left = Matrix::of_rows(&kernels[value * input + first..], stride);
                        let right = Matrix::of_rows(&sources[first * size + value * width..], size);
                        uncounted(shape, out, width, first > 0, left, right);
                    }
                });
                let tasks = (0..output).into_par_iter();
                tasks.for_each(|i| {
                    wide(
                        #[inline(always)]
                        || block.results(i, products, sheet, finish),
                    );
                });
            }
        });
    };
    // SAFETY: a block's last tasks write all columns of its rows, each of one output. All blocks hold all rows.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(sizes.images * output * sizes.area(), write)
    }
}

/// `[16, in]` of one output: `G g G^T`.
#[inline(always)]
fn kernels(weight: Weight<'_>, output: usize, count: usize, out: &mut [f32]) {
    let mut space = vec![0.0; (9 + 9 + 12) * count];
    let (kernels, space) = space.split_at_mut(9 * count);
    let (taps, columns) = space.split_at_mut(9 * count);
    let kernels = kernels.as_chunks_mut::<9>().0;
    // Each is read once, wherever it lies.
    for (input, kernel) in kernels.iter_mut().enumerate() {
        kernel.copy_from_slice(&weight.kernel(output, input)[..9]);
    }
    for (taps, place) in taps.chunks_exact_mut(count).zip(weight.taps) {
        assert!(*place < 9);
        for (tap, kernel) in taps.iter_mut().zip(&*kernels) {
            *tap = kernel[*place];
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

impl Block<'_> {
    /// One output's positions from products `[16, out, width]`: `A^T m A`.
    #[inline(always)]
    fn results(
        &self,
        channel: usize,
        products: &[f32],
        sheet: &Sheet,
        finish: Option<&Finish<'_>>,
    ) {
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
                if let Some(finish) = finish {
                    // SAFETY: the same row, written above.
                    #[allow(unsafe_code)]
                    finish.run(channel, start, unsafe { sheet.written(start, columns) });
                }
            }
        }
    }
}

#[inline(always)]
fn add3(out: &mut [f32], a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32) {
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = f(*a, *b, *c);
    }
}
