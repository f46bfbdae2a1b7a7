//! The weight's gradient by sums over positions, without columns: vectors of neighbouring outputs ([`task`]), of inputs where the
//! kernel has one tap ([`pointwise`]).

mod pointwise;
mod task;

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::collect;
use super::padded::Padded;
use super::sizes::Sizes;
use crate::flex::{made, scratch};
use crate::matrix::{Matrix, Sheet};
use crate::square;

pub(super) use task::{PANEL, Task};

/// Taps of a task, of whole inputs.
const TAPS: usize = 144;
/// Tasks aimed at, to share among cores, and fewest positions that are shared.
const TASKS: usize = 8;
const LEAST: usize = 512;

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    sizes.count();
    if sizes.pointwise() {
        return pointwise::to_weight(&sizes.plain(), grad, &sizes.seen(x));
    }
    let parts = Parts::new(sizes, grad, Padded::new(sizes, x));
    let (taps, output) = (sizes.taps(), sizes.output);
    let depth = sizes.input * taps;
    if parts.groups > 1 {
        return collect::joined(&parts.all(), parts.groups, parts.stride, [output, depth]);
    }
    // SAFETY: tasks write the columns of their taps in all rows. All together are all.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(output * depth, |sheet| {
            (0..parts.blocks).into_par_iter().for_each(|block| {
                scratch(parts.length(block), |sums| {
                    parts.sum(block, 0, sums);
                    let place = [depth, block * parts.inputs * taps];
                    collect::write(&[sums], parts.stride, 0..output, sheet, place);
                });
            });
        })
    }
}

/// Sums over positions in parts: blocks of inputs times groups of rows of positions, both fixed by the sizes. Groups are to be
/// added up in order.
struct Parts<'a> {
    sizes: &'a Sizes,
    padded: Padded<'a>,
    slopes: Vec<f32>,
    /// Of a block, but the last.
    inputs: usize,
    blocks: usize,
    /// Of a group, but the last.
    lines: usize,
    groups: usize,
    /// Sums of a tap, of whole panels of outputs.
    stride: usize,
}

impl<'a> Parts<'a> {
    fn new(sizes: &'a Sizes, grad: &[f32], padded: Padded<'a>) -> Self {
        let most = (sizes.images * sizes.area() / LEAST).clamp(1, TASKS);
        let inputs = TAPS.div_ceil(sizes.taps());
        let inputs = inputs.min(sizes.input.div_ceil(TASKS / most));
        let blocks = sizes.input.div_ceil(inputs);
        let all = sizes.images * sizes.positions[0];
        let lines = all.div_ceil(TASKS.div_ceil(blocks).min(most));
        Self {
            sizes,
            padded,
            slopes: slopes(sizes, grad),
            inputs,
            blocks,
            lines,
            groups: all.div_ceil(lines),
            stride: sizes.output.next_multiple_of(PANEL),
        }
    }

    fn of(&self, block: usize) -> Range<usize> {
        block * self.inputs..self.sizes.input.min((block + 1) * self.inputs)
    }

    /// Sums of a part.
    fn length(&self, block: usize) -> usize {
        self.of(block).len() * self.sizes.taps() * self.stride
    }

    fn sum(&self, block: usize, group: usize, sums: &mut [f32]) {
        let all = self.sizes.images * self.sizes.positions[0];
        Arch::new().dispatch(Task {
            sizes: self.sizes,
            padded: &self.padded,
            slopes: &self.slopes,
            panel: self.sizes.images * self.sizes.area(),
            inputs: self.of(block),
            lines: group * self.lines..all.min((group + 1) * self.lines),
            sums,
            fresh: true,
        });
    }

    /// Blocks one after the other, groups of each side by side.
    fn all(&self) -> Vec<Vec<f32>> {
        let part = |task: usize| {
            let (block, group) = (task / self.groups, task % self.groups);
            let mut sums = vec![0.0; self.length(block)];
            self.sum(block, group, &mut sums);
            sums
        };
        (0..self.blocks * self.groups)
            .into_par_iter()
            .map(part)
            .collect()
    }
}

/// `[panels, images * positions, PANEL]`, with zeros for the outputs that the last panel lacks.
fn slopes(sizes: &Sizes, grad: &[f32]) -> Vec<f32> {
    let (area, output) = (sizes.area(), sizes.output);
    made(
        output.div_ceil(PANEL) * sizes.images * area * PANEL,
        area * PANEL,
        #[inline(always)]
        |i, out| {
            let (panel, image) = (i / sizes.images, i % sizes.images);
            let outputs = panel * PANEL..output.min((panel + 1) * PANEL);
            let planes = &grad[(image * output + outputs.start) * area..][..outputs.len() * area];
            let planes = Matrix::of_rows(planes, area);
            square::turn(planes, [outputs.len(), area], out, PANEL);
        },
    )
}
