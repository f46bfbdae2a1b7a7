//! The convolution's three matrix products, in tiles whose columns stay in the cache.

use rayon::prelude::*;

use super::columns::{gather, scatter};
use crate::Window;
use crate::flex::wide;
use crate::products::{Matrix, product};

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

    /// Few positions: one tile, whose parts are made in parallel instead of the tiles.
    fn few(&self) -> bool {
        self.images * self.area() < 4 * Self::tile(self.input * self.taps())
    }

    /// Few positions and few taps: burn's own forward pass is faster.
    pub(super) fn tiny(&self) -> bool {
        self.few() && self.input * self.taps() <= 576
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
    let depth = sizes.input * sizes.taps();
    let (area, output) = (sizes.area(), sizes.output);
    let total = sizes.images * area;
    let mut tile = Sizes::tile(depth);
    let few = sizes.few();
    if few {
        tile = total;
    }
    let multiply = |columns: &[f32], count: usize| {
        let mut out = vec![0.0; output * count];
        for first in (0..depth).step_by(run) {
            let part = run.min(depth - first);
            let left = Matrix {
                values: &weight[first..],
                row_stride: depth,
                column_stride: 1,
            };
            let right = Matrix {
                values: &columns[first * count..],
                row_stride: count,
                column_stride: 1,
            };
            let shape = [output, part, count];
            product(shape, &mut out, count, first > 0, left, right, few);
        }
        out
    };
    let tiles: Vec<Vec<f32>> = if few {
        let mut all = vec![0.0; depth * total];
        all.par_chunks_mut(total * sizes.taps())
            .enumerate()
            .for_each(|(channel, out)| {
                wide(|| columns(sizes, x, channel * sizes.taps(), 0, total, out));
            });
        vec![multiply(&all, total)]
    } else {
        (0..total.div_ceil(tile))
            .into_par_iter()
            .map_init(
                || vec![0.0; depth * tile],
                |scratch, i| {
                    let count = tile.min(total - i * tile);
                    let scratch = &mut scratch[..depth * count];
                    wide(|| columns(sizes, x, 0, i * tile, count, scratch));
                    multiply(scratch, count)
                },
            )
            .collect()
    };
    let mut out = vec![0.0; total * output];
    out.par_chunks_mut(area)
        .enumerate()
        .for_each(|(plane, out)| {
            let (image, channel) = (plane / output, plane % output);
            let first = image * area;
            let mut done = 0;
            while done < area {
                let (number, at) = ((first + done) / tile, (first + done) % tile);
                let count = tile.min(total - number * tile);
                let part = (count - at).min(area - done);
                let from = channel * count + at;
                out[done..done + part].copy_from_slice(&tiles[number][from..from + part]);
                done += part;
            }
        });
    out
}

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
///
/// Tasks are blocks of input channels times groups of tiles, both fixed by the sizes; groups are summed in order.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    let (taps, area, output) = (sizes.taps(), sizes.area(), sizes.output);
    let channels = CHANNELS.min(sizes.input);
    let width = channels * taps;
    let tile = Sizes::tile(width).min(area);
    let per_image = area.div_ceil(tile);
    let tiles = sizes.images * per_image;
    let blocks = sizes.input.div_ceil(channels);
    let groups = 8usize.div_ceil(blocks).min(tiles);
    let size = tiles.div_ceil(groups);
    let parts: Vec<Vec<f32>> = (0..blocks * groups)
        .into_par_iter()
        .map_init(
            || vec![0.0; width * tile],
            |scratch, task| {
                let (block, group) = (task / groups, task % groups);
                let first = block * channels;
                let width = channels.min(sizes.input - first) * taps;
                let mut sum = vec![0.0; output * width];
                for number in group * size..tiles.min((group + 1) * size) {
                    let (image, at) = (number / per_image, number % per_image * tile);
                    let count = tile.min(area - at);
                    let columns_of = &mut scratch[..width * count];
                    wide(|| columns(sizes, x, first * taps, image * area + at, count, columns_of));
                    let left = Matrix {
                        values: &grad[image * output * area + at..],
                        row_stride: area,
                        column_stride: 1,
                    };
                    let right = Matrix {
                        values: columns_of,
                        row_stride: 1,
                        column_stride: count,
                    };
                    let shape = [output, count, width];
                    product(shape, &mut sum, width, true, left, right, false);
                }
                sum
            },
        )
        .collect();
    let depth = sizes.input * taps;
    let mut out = vec![0.0; output * depth];
    out.par_chunks_mut(depth)
        .enumerate()
        .for_each(|(row, out)| {
            for (block, out) in out.chunks_mut(channels * taps).enumerate() {
                let width = out.len();
                for part in &parts[block * groups..(block + 1) * groups] {
                    let part = &part[row * width..(row + 1) * width];
                    for (out, value) in out.iter_mut().zip(part) {
                        *out += *value;
                    }
                }
            }
        });
    out
}

/// The input's gradient from the output's `[images, out, positions]`.
pub(super) fn to_input(sizes: &Sizes, grad: &[f32], weight: &[f32]) -> Vec<f32> {
    if let Some(turned) = turned(sizes) {
        // No ReLU hangs on a gradient: sums as long as they come.
        return convolve(&turned, grad, &turn(sizes, weight), usize::MAX);
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
            out.par_chunks_mut(channels * plane)
                .enumerate()
                .for_each_init(
                    || vec![0.0; channels * taps * tile],
                    |scratch, (block, out)| {
                        let first = block * channels * taps;
                        let rows = out.len() / plane * taps;
                        for at in (0..area).step_by(tile) {
                            let count = tile.min(area - at);
                            let scratch = &mut scratch[..rows * count];
                            let left = Matrix {
                                values: &weight[first..],
                                row_stride: 1,
                                column_stride: depth,
                            };
                            let right = Matrix {
                                values: &grad[at..],
                                row_stride: area,
                                column_stride: 1,
                            };
                            let shape = [rows, output, count];
                            product(shape, scratch, count, false, left, right, false);
                            wide(|| {
                                for (i, values) in scratch.chunks(count).enumerate() {
                                    let tap = sizes.tap(i);
                                    let out = &mut out[tap.0 * plane..(tap.0 + 1) * plane];
                                    scatter(sizes, out, tap, at, values);
                                }
                            });
                        }
                    },
                );
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
fn turn(sizes: &Sizes, weight: &[f32]) -> Vec<f32> {
    let taps = sizes.taps();
    let mut out = vec![0.0; weight.len()];
    let row = sizes.output * taps;
    out.par_chunks_mut(row)
        .enumerate()
        .for_each(|(channel, out)| {
            for (o, out) in out.chunks_mut(taps).enumerate() {
                let from = (o * sizes.input + channel) * taps;
                for (out, value) in out.iter_mut().zip(weight[from..from + taps].iter().rev()) {
                    *out = *value;
                }
            }
        });
    out
}
