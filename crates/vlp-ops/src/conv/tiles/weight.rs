//! The weight's gradient: a block of sums is 32 inputs at a tap times 32 outputs, over positions.

use std::ops::Range;

use rayon::prelude::*;

use super::{pays, rounded};
use crate::bf16::Place;
use crate::bf16::x86::pack::{self, Line};
use crate::bf16::x86::{CHUNK, EDGE, Tiles};
use crate::conv::collect;
use crate::conv::padded::Layout;
use crate::conv::sizes::Sizes;
use crate::flex::{made, wide};

/// Chunks of positions that are read for all taps one after the other.
const BLOCK: usize = 16;
/// Tasks aimed at, to share among cores, and fewest chunks of positions that are shared.
const TASKS: usize = 8;
const LEAST: usize = 16;

/// The weight's gradient from the output's `[images, out, positions]` and `x`; `None` where another way has to be gone.
pub(in crate::conv) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Option<Vec<f32>> {
    if !pays(sizes) {
        return None;
    }
    sizes.count();
    let (taps, output) = (sizes.taps(), sizes.output);
    if !sizes.pointwise() {
        let sums = Sums::new(sizes, grad, x);
        let shape = [output, sizes.input * taps];
        return Some(collect::joined(
            &sums.parts(),
            sums.groups,
            sums.stride,
            shape,
        ));
    }
    // Inputs and outputs change places: rows of sums are then those of the weight.
    let turned = Sizes {
        input: output,
        output: sizes.input,
        ..sizes.plain()
    };
    let sums = Sums::new(&turned, &sizes.seen(x), grad);
    let whole = output.is_multiple_of(EDGE) && sums.stride == sizes.input;
    if sums.groups == 1 && whole {
        let add = |block: usize, out: &mut [f32]| sums.add(block, out);
        return Some(made(output * sizes.input, EDGE * sizes.input, add));
    }
    let parts = sums.parts();
    Some(made(
        output * sizes.input,
        sizes.input,
        #[inline(always)]
        |row, out| {
            let block = row / EDGE * sums.groups;
            for part in &parts[block..block + sums.groups] {
                let values = &part[row % EDGE * sums.stride..];
                for (out, value) in out.iter_mut().zip(values) {
                    *out += *value;
                }
            }
        },
    ))
}

/// Tasks are blocks of inputs times groups of positions, both fixed by the sizes; groups are summed in order.
struct Sums<'a> {
    sizes: &'a Sizes,
    layout: Layout<'a>,
    map: Vec<u16>,
    slopes: Vec<Line>,
    /// Chunks of all positions, and of a group.
    chunks: usize,
    size: usize,
    groups: usize,
    /// From a row of sums to the next.
    stride: usize,
}

impl<'a> Sums<'a> {
    fn new(sizes: &'a Sizes, grad: &[f32], x: &[f32]) -> Self {
        let layout = Layout::new(sizes, EDGE);
        let chunks = (sizes.images * layout.image).div_ceil(EDGE);
        let most = TASKS.div_ceil(sizes.input.div_ceil(EDGE));
        let size = chunks.div_ceil(most.min(chunks.div_ceil(LEAST)));
        Self {
            sizes,
            map: halves(sizes, &layout, x),
            slopes: slopes(sizes, &layout, grad, chunks),
            layout,
            chunks,
            size,
            groups: chunks.div_ceil(size),
            stride: sizes.output.next_multiple_of(EDGE),
        }
    }

    /// `[inputs, taps, outputs]` of each task.
    fn parts(&self) -> Vec<Vec<f32>> {
        let row = self.sizes.taps() * self.stride;
        let part = |task: usize| {
            let mut sums = vec![0.0; EDGE * row];
            self.add(task, &mut sums);
            let inputs = EDGE.min(self.sizes.input - task / self.groups * EDGE);
            sums.truncate(inputs * row);
            sums
        };
        let tasks = self.sizes.input.div_ceil(EDGE) * self.groups;
        (0..tasks).into_par_iter().map(part).collect()
    }

    /// Adds a task's to `sums` of 32 inputs.
    fn add(&self, task: usize, sums: &mut [f32]) {
        let (block, group) = (task / self.groups, task % self.groups * self.size);
        let channel = self.layout.channel();
        let task = Task {
            map: &self.map[block * EDGE * channel..],
            channel,
            taps: &self.layout.taps,
            slopes: &self.slopes,
            panel: self.chunks * CHUNK,
            stride: self.stride,
        };
        task.run(group..self.chunks.min(group + self.size), sums);
    }
}

/// The map in bf16, with empty channels up to a multiple of 32.
fn halves(sizes: &Sizes, layout: &Layout<'_>, x: &[f32]) -> Vec<u16> {
    layout.fill(
        sizes.input.next_multiple_of(EDGE),
        #[inline(always)]
        |channel, run, out: &mut [u16]| {
            if channel < sizes.input {
                layout.each(
                    x,
                    channel,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out = (rounded(value) >> 16) as u16,
                );
            }
        },
    )
}

/// Panels of 32 outputs, in each the chunks of positions, in pairs. What lies between rows and images is zero.
fn slopes(sizes: &Sizes, layout: &Layout<'_>, grad: &[f32], chunks: usize) -> Vec<Line> {
    let [height, width] = sizes.positions;
    let panels = sizes.output.div_ceil(EDGE);
    let lines = made(
        panels * EDGE * chunks,
        chunks,
        #[inline(always)]
        |output, out: &mut [Line]| {
            if output >= sizes.output {
                return;
            }
            let values = out.as_mut_ptr().cast::<u16>();
            // SAFETY: lines are 32 halves each.
            #[allow(unsafe_code)]
            let out = unsafe { std::slice::from_raw_parts_mut(values, out.len() * EDGE) };
            for image in 0..sizes.images {
                let plane = &grad[(image * sizes.output + output) * sizes.area()..];
                for row in 0..height {
                    let at = image * layout.image + row * layout.pitch;
                    let values = &plane[row * width..][..width];
                    for (out, value) in out[at..at + width].iter_mut().zip(values) {
                        *out = (rounded(*value) >> 16) as u16;
                    }
                }
            }
        },
    );
    made(panels * chunks * CHUNK, chunks * CHUNK, |panel, out| {
        let columns = &lines[panel * EDGE * chunks..][..EDGE * chunks];
        // SAFETY: products are made in bf16, by `pays`, so that the processor has the instructions.
        #[allow(unsafe_code)]
        unsafe {
            pack::turned_lines(columns, chunks, out);
        }
    })
}

/// 32 inputs.
struct Task<'a> {
    /// From the first input on.
    map: &'a [u16],
    /// From an input to the next.
    channel: usize,
    taps: &'a [usize],
    slopes: &'a [Line],
    /// Lines of a panel of the slopes.
    panel: usize,
    /// From a row of sums to the next.
    stride: usize,
}

impl Task<'_> {
    /// Adds some chunks of positions to `sums` `[inputs, taps, outputs]`, which are zeros.
    fn run(&self, chunks: Range<usize>, sums: &mut [f32]) {
        let taps = self.taps.len();
        let last = self.taps.iter().max().map_or(0, |last| *last);
        assert!((EDGE - 1) * self.channel + last + chunks.end * EDGE <= self.map.len());
        assert!(sums.len() == EDGE * taps * self.stride);
        wide(
            #[inline(always)]
            || {
                // SAFETY: there are tiles, by `pays`.
                #[allow(unsafe_code)]
                let tiles = unsafe { Tiles::new() };
                for first in chunks.clone().step_by(BLOCK) {
                    let count = BLOCK.min(chunks.end - first);
                    for (panel, slopes) in self.slopes.chunks_exact(self.panel).enumerate() {
                        let slopes = &slopes[first * CHUNK..][..count * CHUNK];
                        for (i, tap) in self.taps.iter().enumerate() {
                            let place = Place {
                                at: sums[i * self.stride + panel * EDGE..].as_mut_ptr(),
                                stride: taps * self.stride,
                            };
                            // SAFETY: the last input's furthest tap lies inside the map, the last input's row
                            // inside the sums (asserted).
                            #[allow(unsafe_code)]
                            unsafe {
                                let map = self.map[first * EDGE + tap..].as_ptr();
                                tiles.of_rows((map, self.channel), slopes, place, true);
                            }
                        }
                    }
                }
            },
        );
    }
}
