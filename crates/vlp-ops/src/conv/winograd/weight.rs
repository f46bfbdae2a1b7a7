//! The weight's gradient: tiles of inputs and of the output's gradient are multiplied, and the sums over all tiles transformed
//! to kernels.
//!
//! It follows from the outputs' transforms, read backwards: a tile of 2x2 slopes becomes 4x4 values, a kernel is what its own
//! transform pulls back of 4x4 sums.

use std::borrow::Cow;
use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::{Block, VALUES};
use crate::conv::collect;
use crate::conv::padded::Padded;
use crate::conv::sizes::Sizes;
use crate::conv::weight::{PANEL, Task};
use crate::flex::{scratch, wide};
use crate::matrix::{Matrix, Sheet};
use crate::square;

/// Floats of a block's tiles, of all inputs and outputs: what second caches hold.
const BLOCK: usize = 1 << 19;
/// Fewest tiles of a block where there are more: what pays for adding to the sums.
const LEAST: usize = 128;
/// Inputs of a task.
const INPUTS: usize = 32;

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
pub(in crate::conv) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    sizes.count();
    let (input, output) = (sizes.input, sizes.output);
    let most = (BLOCK / (VALUES * (input + output))).max(LEAST);
    let blocks = Block::all(sizes, most);
    let width = blocks.first().map_or(0, |block| block.width);
    let size = VALUES * width;
    let stride = output.next_multiple_of(PANEL);
    let write = |sheet: &Sheet| {
        scratch(VALUES * input * stride + size * (input + stride), |space| {
            let (sums, space) = space.split_at_mut(VALUES * input * stride);
            let (sources, slopes) = space.split_at_mut(size * input);
            for (number, block) in blocks.iter().enumerate() {
                block.all_sources(x, sources);
                let tasks = slopes.par_chunks_mut(size * PANEL).enumerate();
                tasks.for_each(|(i, out)| {
                    wide(
                        #[inline(always)]
                        || block.slopes(i, grad, out),
                    );
                });
                let tasks = sums.par_chunks_mut(VALUES * INPUTS * stride).enumerate();
                tasks.for_each(|(i, sums)| {
                    let inputs = i * INPUTS..input.min((i + 1) * INPUTS);
                    block.add(sources, slopes, inputs.clone(), sums, number == 0);
                    if number + 1 == blocks.len() {
                        // SAFETY: tasks write the taps of their inputs in all rows. All together are all.
                        #[allow(unsafe_code)]
                        unsafe {
                            write_kernels(sizes, inputs, sums, sheet);
                        }
                    }
                });
            }
        });
    };
    // SAFETY: the last block's tasks write all.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(output * input * 9, write)
    }
}

/// Writes the kernels of some inputs and all outputs from sums `[16, inputs, stride]`.
///
/// # Safety
/// As [`Sheet::product`], of the taps of these inputs in all rows.
#[allow(unsafe_code)]
unsafe fn write_kernels(sizes: &Sizes, inputs: Range<usize>, sums: &[f32], sheet: &Sheet) {
    let stride = sizes.output.next_multiple_of(PANEL);
    scratch(9 * inputs.len() * stride, |taps| {
        wide(
            #[inline(always)]
            || kernels(sums, taps, inputs.len(), stride),
        );
        let place = [9 * sizes.input, 9 * inputs.start];
        // SAFETY: the caller's.
        unsafe { collect::write(&[taps], stride, 0..sizes.output, sheet, place) }
    });
}

impl Block<'_> {
    /// Adds the products of all tiles to the sums of some inputs and all outputs, `[16, inputs, stride]`.
    fn add(
        &self,
        sources: &[f32],
        slopes: &[f32],
        inputs: Range<usize>,
        sums: &mut [f32],
        fresh: bool,
    ) {
        let tiles = self.tiles();
        // One tap, of positions in a row.
        let plain = Sizes {
            images: 1,
            positions: [1, tiles],
            ..*self.sizes
        };
        let stride = plain.output.next_multiple_of(PANEL);
        let tasks = sums.par_chunks_mut(inputs.len() * stride).enumerate();
        tasks.for_each(|(value, sums)| {
            let padded = Padded {
                values: Cow::Borrowed(&sources[value * self.width..]),
                channel: VALUES * self.width,
                image: tiles,
                pitch: tiles,
                taps: vec![0],
            };
            Arch::new().dispatch(Task {
                sizes: &plain,
                padded: &padded,
                slopes: &slopes[value * self.width * PANEL..],
                panel: VALUES * self.width,
                inputs: inputs.clone(),
                lines: 0..1,
                sums,
                fresh,
            });
        });
    }

    /// A panel's tiles into `[16, width, PANEL]`: `A d A^T` of the output's gradient.
    #[inline(always)]
    fn slopes(&self, panel: usize, grad: &[f32], out: &mut [f32]) {
        let [height, columns] = self.sizes.positions;
        let (first, area) = (panel * PANEL, self.sizes.area());
        let outputs = PANEL.min(self.sizes.output - first);
        let length = 2 * self.grid[1];
        // Zeros in lanes without an output, and behind rows of odd length.
        let mut lines = vec![[0f32; PANEL]; 2 * length];
        let size = self.width * PANEL;
        for (number, at) in self.rows.clone().zip((0..).step_by(self.grid[1])) {
            let (image, row) = (number / self.grid[0], number % self.grid[0]);
            let plane = (image * self.sizes.output + first) * area;
            for (i, line) in lines.chunks_exact_mut(length).enumerate() {
                match 2 * row + i < height {
                    false => line.fill([0.0; PANEL]),
                    true => {
                        let grad = &grad[plane + (2 * row + i) * columns..];
                        let rows = Matrix::of_rows(grad, area);
                        let line = line.as_flattened_mut();
                        square::turn(rows, [outputs, columns], line, PANEL);
                    }
                }
            }
            let (above, below) = lines.split_at(length);
            let (above, below) = (above.as_chunks::<2>().0, below.as_chunks::<2>().0);
            for (i, ([a, b], [c, d])) in above.iter().zip(below).enumerate() {
                let pairs = [
                    [*a, *b],
                    [each(a, c, |a, c| a + c), each(b, d, |b, d| b + d)],
                    [each(a, c, |a, c| a - c), each(b, d, |b, d| b - d)],
                    [each(c, c, |c, _| -c), each(d, d, |d, _| -d)],
                ];
                for (j, [p, q]) in pairs.iter().enumerate() {
                    let values = [
                        *p,
                        each(p, q, |p, q| p + q),
                        each(p, q, |p, q| p - q),
                        each(q, q, |q, _| -q),
                    ];
                    for (k, value) in values.iter().enumerate() {
                        let at = (4 * j + k) * size + (at + i) * PANEL;
                        out[at..at + PANEL].copy_from_slice(value);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn each(a: &[f32; PANEL], b: &[f32; PANEL], f: impl Fn(f32, f32) -> f32) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    for i in 0..PANEL {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// `[inputs, 9, stride]` from sums `[16, inputs, stride]`: `G^T m G`.
#[inline(always)]
fn kernels(sums: &[f32], taps: &mut [f32], inputs: usize, stride: usize) {
    for input in 0..inputs {
        for at in (0..stride).step_by(PANEL) {
            let value = |i: usize| {
                let mut value = [0.0; PANEL];
                value.copy_from_slice(&sums[(i * inputs + input) * stride + at..][..PANEL]);
                value
            };
            let [a, b, c, d] = [
                kernel([value(0), value(4), value(8), value(12)]),
                kernel([value(1), value(5), value(9), value(13)]),
                kernel([value(2), value(6), value(10), value(14)]),
                kernel([value(3), value(7), value(11), value(15)]),
            ];
            let rows = [
                [a[0], b[0], c[0], d[0]],
                [a[1], b[1], c[1], d[1]],
                [a[2], b[2], c[2], d[2]],
            ];
            for (i, row) in rows.into_iter().enumerate() {
                for (j, tap) in kernel(row).iter().enumerate() {
                    let place = (9 * input + 3 * i + j) * stride + at;
                    taps[place..place + PANEL].copy_from_slice(tap);
                }
            }
        }
    }
}

/// `G^T m` of many columns.
#[inline(always)]
fn kernel([first, sum, difference, last]: [[f32; PANEL]; 4]) -> [[f32; PANEL]; 3] {
    let even = each(&sum, &difference, |a, b| 0.5 * (a + b));
    [
        each(&first, &even, |a, b| a + b),
        each(&sum, &difference, |a, b| 0.5 * (a - b)),
        each(&last, &even, |a, b| a + b),
    ]
}
