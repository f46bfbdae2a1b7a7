//! The convolution's three matrix products, in tiles whose columns stay in the cache.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::columns::{gather, scatter};
use crate::Window;
use crate::count::count;
use crate::flex::{scratch, wide};
use crate::products::{Matrix, Product, Sheet, product, turn};

/// Sizes of one convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) images: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    /// Of the map, `[rows, columns]`.
    pub(super) map: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) positions: [usize; 2],
    pub(super) window: Window,
}

/// Floats of the columns of one tile: 1 MiB, what a core's second cache holds.
const TILE: usize = 1 << 18;
/// Products summed in a run before they join the total of [`forward`]: rounding grows with the longest run, and what
/// a ReLU behind the convolution lets pass hangs on it. 27 halves burn's rounding; it is free at 64 channels and costs
/// a third of the speed at 512.
const RUN: usize = 27;
/// Fewer tiles than these share the cores by outputs.
const FEW: usize = 8;
/// Outputs of a task where tiles are few.
const SHARE: usize = 48;
/// Outputs whose runs follow each other.
const GROUP: usize = 48;
/// Input channels of one task of [`to_weight`] and [`to_input`].
const CHANNELS: usize = 16;

impl Sizes {
    pub(super) fn new(
        [images, input, rows, columns]: [usize; 4],
        [output, _, i, j]: [usize; 4],
        window: Window,
    ) -> Self {
        Self {
            images,
            input,
            output,
            map: [rows, columns],
            kernel: [i, j],
            positions: window.positions([rows, columns], [i, j]),
            window,
        }
    }

    pub(super) fn source(&self) -> [usize; 4] {
        [self.images, self.input, self.map[0], self.map[1]]
    }

    pub(super) fn weight(&self) -> [usize; 4] {
        [self.output, self.input, self.kernel[0], self.kernel[1]]
    }

    pub(super) fn result(&self) -> [usize; 4] {
        [
            self.images,
            self.output,
            self.positions[0],
            self.positions[1],
        ]
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Positions of one image.
    fn area(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// Channel, row and column of a tap's number.
    fn tap(&self, number: usize) -> (usize, usize, usize) {
        let (channel, rest) = (number / self.taps(), number % self.taps());
        (channel, rest / self.kernel[1], rest % self.kernel[1])
    }

    /// A product of matrices: every position sees one place of the map.
    fn pointwise(&self) -> bool {
        self.taps() == 1 && self.window.padding == [0, 0]
    }

    /// The places of the map that a [`Self::pointwise`] convolution sees.
    fn seen<'a>(&self, x: &'a [f32]) -> Cow<'a, [f32]> {
        if self.window.stride == [1, 1] {
            return Cow::Borrowed(x);
        }
        let area = self.area();
        let mut out = vec![0.0; self.images * self.input * area];
        out.par_chunks_mut(area).enumerate().for_each(|(i, out)| {
            let (image, channel) = (i / self.input, i % self.input);
            wide(|| gather(self, x, (channel, 0, 0), image * area, out));
        });
        Cow::Owned(out)
    }

    /// Few positions and few taps: burn's own forward pass is faster.
    pub(super) fn tiny(&self) -> bool {
        let depth = self.input * self.taps();
        let few = self.images * self.area() < 4 * Self::tile(depth);
        few && depth <= 576 && !self.pointwise()
    }

    /// Counts the operations of a forward pass that burn computes.
    pub(super) fn count(&self) {
        let depth = self.input * self.taps();
        count([self.output, depth, self.images * self.area()]);
    }

    /// Positions of a tile of columns of `depth` taps.
    fn tile(depth: usize) -> usize {
        (TILE / depth).clamp(192, 1024)
    }
}

/// The columns of positions `first..first + count` and taps from `tap` on, into `out` `[taps, count]`.
fn columns(sizes: &Sizes, x: &[f32], tap: usize, first: usize, count: usize, out: &mut [f32]) {
    for (i, row) in out.chunks_mut(count).enumerate() {
        gather(sizes, x, sizes.tap(tap + i), first, row);
    }
}

/// `[images, out, positions]` from `x` and `weight`.
pub(super) fn forward(sizes: &Sizes, x: &[f32], weight: &[f32]) -> Vec<f32> {
    convolve(sizes, x, weight, RUN)
}

/// As [`forward`], with sums of `run` products joined.
fn convolve(sizes: &Sizes, x: &[f32], weight: &[f32], run: usize) -> Vec<f32> {
    let (area, output) = (sizes.area(), sizes.output);
    let depth = sizes.input * sizes.taps();
    if sizes.pointwise() {
        let weight = Matrix::of_rows(weight, depth);
        return images(&sizes.seen(x), weight, [output, depth, area]);
    }
    let tile = Sizes::tile(depth).min(area);
    let per_image = area.div_ceil(tile);
    let tiles = sizes.images * per_image;
    let place = |number: usize| {
        let (image, at) = (number / per_image, number % per_image * tile);
        (image, at, tile.min(area - at))
    };
    // Few tiles: outputs are shared among tasks, too, and the columns made beforehand.
    let few = tiles < FEW;
    let share = if few { SHARE } else { output };
    let run = run.min(depth);
    // SAFETY: tasks write disjoint blocks: positions of a tile times a share of outputs. All together are all.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(sizes.images * output * area, |sheet| {
            let multiply = |number: usize, columns: &[f32], outputs: Range<usize>| {
                let (image, at, count) = place(number);
                // Runs one after the other over few outputs, whose sums stay in the first cache.
                let group = if run < depth { GROUP } else { output };
                for row in outputs.clone().step_by(group) {
                    let rows = group.min(outputs.end - row);
                    for first in (0..depth).step_by(run) {
                        let part = run.min(depth - first);
                        let left = Matrix::of_rows(&weight[row * depth + first..], depth);
                        let right = Matrix::of_rows(&columns[first * count..], count);
                        let start = (image * output + row) * area + at;
                        let shape = [rows, part, count];
                        sheet.product(start, shape, area, first > 0, left, right);
                    }
                }
            };
            if few {
                let all: Vec<Vec<f32>> = (0..tiles)
                    .map(|number| {
                        let (image, at, count) = place(number);
                        let mut out = vec![0.0; depth * count];
                        let size = count * sizes.taps();
                        out.par_chunks_mut(size).enumerate().for_each(|(i, out)| {
                            let (tap, first) = (i * sizes.taps(), image * area + at);
                            wide(|| columns(sizes, x, tap, first, count, out));
                        });
                        out
                    })
                    .collect();
                let shares = output.div_ceil(share);
                (0..tiles * shares).into_par_iter().for_each(|task| {
                    let (number, first) = (task / shares, task % shares * share);
                    multiply(number, &all[number], first..output.min(first + share));
                });
            } else {
                (0..tiles).into_par_iter().for_each(|number| {
                    let (image, at, count) = place(number);
                    scratch(depth * count, |scratch| {
                        wide(|| columns(sizes, x, 0, image * area + at, count, scratch));
                        multiply(number, scratch, 0..output);
                    });
                });
            }
        })
    }
}

/// `left` times every image's `[depth, columns]` of `x`.
fn images(x: &[f32], left: Matrix<'_>, [rows, depth, columns]: [usize; 3]) -> Vec<f32> {
    let products: Vec<_> = x
        .chunks_exact(depth * columns)
        .map(|x| Product {
            shape: [rows, depth, columns],
            left,
            right: Matrix::of_rows(x, columns),
            bias: None,
        })
        .collect();
    Product::stack(&products)
}

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
///
/// Tasks are blocks of input channels times groups of tiles, both fixed by the sizes; groups are summed in order.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    let (taps, area, output) = (sizes.taps(), sizes.area(), sizes.output);
    let channels = (CHANNELS * 9).div_ceil(taps).min(sizes.input);
    let width = channels * taps;
    let tile = Sizes::tile(width).min(area);
    let per_image = area.div_ceil(tile);
    let tiles = sizes.images * per_image;
    let blocks = sizes.input.div_ceil(channels);
    let groups = 8usize.div_ceil(blocks).min(tiles);
    let size = tiles.div_ceil(groups);
    let seen = sizes.pointwise().then(|| sizes.seen(x));
    // Outputs side by side: the products then read and write neighbours only.
    let turned: Vec<Vec<f32>> = grad
        .chunks_exact(output * area)
        .map(|grad| turn(Matrix::of_rows(grad, area), output, area))
        .collect();
    let part = |task: usize| {
        let (block, group) = (task / groups, task % groups);
        let first = block * channels;
        let width = channels.min(sizes.input - first) * taps;
        let mut sum = vec![0.0; output * width];
        for number in group * size..tiles.min((group + 1) * size) {
            let (image, at) = (number / per_image, number % per_image * tile);
            let count = tile.min(area - at);
            let right = Matrix::of_rows(&turned[image][at * output..], output);
            let shape = [width, count, output];
            if let Some(seen) = &seen {
                let start = (image * sizes.input + first) * area + at;
                let left = Matrix::of_rows(&seen[start..], area);
                product(shape, &mut sum, output, true, left, right, false);
                continue;
            }
            scratch(width * count, |scratch| {
                let position = image * area + at;
                wide(|| columns(sizes, x, first * taps, position, count, scratch));
                let left = Matrix::of_rows(scratch, count);
                product(shape, &mut sum, output, true, left, right, false);
            });
        }
        sum
    };
    let parts: Vec<Vec<f32>> = (0..blocks * groups).into_par_iter().map(part).collect();
    let depth = sizes.input * taps;
    let mut out = vec![0.0; output * depth];
    out.par_chunks_mut(SIDE * depth)
        .enumerate()
        .for_each(|(i, out)| {
            wide(|| {
                for block in 0..blocks {
                    let parts = &parts[block * groups..(block + 1) * groups];
                    collect(parts, output, i * SIDE, out, depth, block * width);
                }
            });
        });
    out
}

/// Side of the squares in which rows and columns change places.
const SIDE: usize = 16;

/// Adds up `[columns, output]` of all parts into the rows of `out` from output `first` on and from `column` on.
#[inline(always)]
fn collect(
    parts: &[Vec<f32>],
    output: usize,
    first: usize,
    out: &mut [f32],
    depth: usize,
    column: usize,
) {
    let columns = parts[0].len() / output;
    let rows = out.len() / depth;
    for at in (0..columns).step_by(SIDE) {
        let count = SIDE.min(columns - at);
        let mut square = [[0f32; SIDE]; SIDE];
        for part in parts {
            for (i, sums) in square.iter_mut().enumerate().take(count) {
                let from = (at + i) * output + first;
                for (sum, value) in sums.iter_mut().zip(&part[from..from + rows]) {
                    *sum += *value;
                }
            }
        }
        for (row, out) in out.chunks_exact_mut(depth).enumerate() {
            let out = &mut out[column + at..column + at + count];
            for (out, sums) in out.iter_mut().zip(&square) {
                *out = sums[row];
            }
        }
    }
}

/// The input's gradient from the output's `[images, out, positions]`.
pub(super) fn to_input(sizes: &Sizes, grad: &[f32], weight: &[f32]) -> Vec<f32> {
    if sizes.pointwise() {
        let weight = Matrix::of_rows(weight, sizes.input).turned();
        let seen = images(grad, weight, [sizes.input, sizes.output, sizes.area()]);
        if sizes.window.stride == [1, 1] {
            return seen;
        }
        let plane = sizes.map[0] * sizes.map[1];
        let mut out = vec![0.0; sizes.images * sizes.input * plane];
        out.par_chunks_mut(plane)
            .zip(seen.par_chunks(sizes.area()))
            .for_each(|(out, values)| wide(|| scatter(sizes, out, (0, 0, 0), 0, values)));
        return out;
    }
    if let Some(turned) = turned(sizes) {
        // No ReLU hangs on a gradient: sums as long as they come.
        return convolve(&turned, grad, &flip(sizes, weight), usize::MAX);
    }
    let (taps, area, output) = (sizes.taps(), sizes.area(), sizes.output);
    let depth = sizes.input * taps;
    let channels = CHANNELS.min(sizes.input);
    let plane = sizes.map[0] * sizes.map[1];
    let tile = Sizes::tile(channels * taps).min(area);
    let mut out = vec![0.0; sizes.images * sizes.input * plane];
    let image_size = sizes.input * plane;
    out.par_chunks_mut(image_size)
        .enumerate()
        .for_each(|(image, out)| {
            let grad = &grad[image * output * area..(image + 1) * output * area];
            let task = |(block, out): (usize, &mut [f32])| {
                let first = block * channels * taps;
                let rows = out.len() / plane * taps;
                for at in (0..area).step_by(tile) {
                    let count = tile.min(area - at);
                    let left = Matrix::of_rows(&weight[first..], depth).turned();
                    let right = Matrix::of_rows(&grad[at..], area);
                    let shape = [rows, output, count];
                    scratch(rows * count, |scratch| {
                        product(shape, scratch, count, false, left, right, false);
                        wide(|| {
                            for (i, values) in scratch.chunks(count).enumerate() {
                                let tap = sizes.tap(i);
                                let out = &mut out[tap.0 * plane..(tap.0 + 1) * plane];
                                scatter(sizes, out, tap, at, values);
                            }
                        });
                    });
                }
            };
            out.par_chunks_mut(channels * plane)
                .enumerate()
                .for_each(task);
        });
    out
}

/// At stride 1 the input's gradient is a convolution of the output's with the kernel turned by 180 degrees; worth
/// the turning where the map is large.
fn turned(sizes: &Sizes) -> Option<Sizes> {
    let window = sizes.window;
    let reach = [0, 1].map(|axis| window.dilation[axis] * (sizes.kernel[axis] - 1));
    if window.stride != [1, 1] || sizes.images * sizes.area() < 2 * sizes.output {
        return None;
    }
    let padding = [
        reach[0].checked_sub(window.padding[0])?,
        reach[1].checked_sub(window.padding[1])?,
    ];
    Some(Sizes {
        input: sizes.output,
        output: sizes.input,
        map: sizes.positions,
        positions: sizes.map,
        window: Window { padding, ..window },
        ..*sizes
    })
}

/// `[in, out, rows, columns]` from `[out, in, rows, columns]`, both of the kernel's axes reversed.
fn flip(sizes: &Sizes, weight: &[f32]) -> Vec<f32> {
    let taps = sizes.taps();
    let mut out = vec![0.0; weight.len()];
    let row = sizes.output * taps;
    // Channels of a task lie side by side in the weight.
    out.par_chunks_mut(SIDE * row)
        .enumerate()
        .for_each(|(i, out)| {
            for o in 0..sizes.output {
                let from = (o * sizes.input + i * SIDE) * taps;
                let kernels = weight[from..].chunks_exact(taps);
                for (out, kernel) in out.chunks_exact_mut(row).zip(kernels) {
                    let out = &mut out[o * taps..(o + 1) * taps];
                    for (out, value) in out.iter_mut().zip(kernel.iter().rev()) {
                        *out = *value;
                    }
                }
            }
        });
    out
}
