//! The weight's gradient by sums over positions, without columns: vectors of neighbouring outputs ([`task`]), of inputs where the
//! kernel has one tap ([`pointwise`]).

mod pointwise;
mod task;

use pulp::Arch;
use rayon::prelude::*;

use super::collect;
use super::padded::Padded;
use super::sizes::Sizes;
use crate::flex::{made, scratch};
use crate::matrix::{Matrix, Sheet};
use crate::square;

pub(super) use task::{PANEL, Task};

/// Taps of a task, of whole inputs; its outputs where the kernel has one tap.
const TAPS: usize = 144;
/// Tasks aimed at, to share among cores, and fewest positions that are shared.
const TASKS: usize = 8;
const LEAST: usize = 512;

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
///
/// Tasks are blocks of inputs, or of outputs where the kernel has one tap, times groups of rows of positions, both fixed by the sizes; groups are summed in order.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    sizes.count();
    if !sizes.pointwise() {
        return sums(sizes, grad, &Padded::new(sizes, x));
    }
    pointwise::to_weight(&sizes.plain(), grad, &sizes.seen(x))
}

/// As [`to_weight`], of a map laid out.
fn sums(sizes: &Sizes, grad: &[f32], padded: &Padded<'_>) -> Vec<f32> {
    let slopes = &slopes(sizes, grad);
    let (taps, output) = (sizes.taps(), sizes.output);
    let most = (sizes.images * sizes.area() / LEAST).clamp(1, TASKS);
    let inputs = TAPS.div_ceil(taps).min(sizes.input.div_ceil(TASKS / most));
    let blocks = sizes.input.div_ceil(inputs);
    let lines = sizes.images * sizes.positions[0];
    let size = lines.div_ceil(TASKS.div_ceil(blocks).min(most));
    let groups = lines.div_ceil(size);
    let depth = sizes.input * taps;
    let stride = output.next_multiple_of(PANEL);
    let arch = Arch::new();
    let sum = |task: usize, sums: &mut [f32]| {
        let (first, line) = (task / groups * inputs, task % groups * size);
        arch.dispatch(Task {
            sizes,
            padded,
            slopes,
            panel: sizes.images * sizes.area(),
            inputs: first..sizes.input.min(first + inputs),
            lines: line..lines.min(line + size),
            sums,
            fresh: true,
        });
    };
    let length = |block: usize| inputs.min(sizes.input - block * inputs) * taps * stride;
    if groups == 1 {
        // SAFETY: tasks write the columns of their taps in all rows. All together are all.
        #[allow(unsafe_code)]
        return unsafe {
            Sheet::fill(output * depth, |sheet| {
                (0..blocks).into_par_iter().for_each(|block| {
                    scratch(length(block), |sums| {
                        sum(block, sums);
                        let place = [depth, block * inputs * taps];
                        collect::write(&[sums], stride, 0..output, sheet, place);
                    });
                });
            })
        };
    }
    let part = |task: usize| {
        let mut sums = vec![0.0; length(task / groups)];
        sum(task, &mut sums);
        sums
    };
    let parts: Vec<Vec<f32>> = (0..blocks * groups).into_par_iter().map(part).collect();
    collect::joined(&parts, groups, stride, [output, depth])
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
