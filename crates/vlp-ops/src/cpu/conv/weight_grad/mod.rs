//! The weight's gradient by sums over positions, without an im2col matrix: vectors of neighboring outputs ([`task`]), or of
//! inputs for kernels of 1x1 ([`pointwise`]).

mod pointwise;
mod task;

use std::ops::Range;

use rayon::prelude::*;

use super::padded::PaddedInput;
use super::reduce_partials::{sum_partials, write_sum};
use super::shape::ConvShape;
use crate::cpu::gemm::DisjointOutput;
use crate::cpu::matrix::Matrix;
use crate::cpu::matrix::transpose::transpose;
use crate::cpu::simd::dispatch;
use crate::cpu::tensor::{alloc_blocks, with_scratch};

pub(super) use pointwise::weight_grad as pointwise_weight_grad;
pub(super) use task::{PANEL, Task};

/// Taps of a task, of whole inputs.
const TASK_TAPS: usize = 144;
/// Number of tasks, and the minimum number of positions that are distributed over tasks: few for Miri, which interprets them.
const TASKS: usize = 8;
const MIN_POSITIONS: usize = if cfg!(miri) { 8 } else { 512 };

/// The gradient of the weight.
pub(super) fn weight_grad(shape: &ConvShape, grad_output: &[f32], x: &[f32]) -> Vec<f32> {
    shape.count_flops();
    let partition = Partition::new(shape, grad_output, PaddedInput::new(shape, x));
    let (taps, outputs, depth) = (shape.taps(), shape.out_channels, shape.depth());
    if partition.groups > 1 {
        let partials = partition.partial_sums();
        return sum_partials(
            &partials,
            partition.groups,
            partition.stride,
            [outputs, depth],
        );
    }
    // SAFETY: tasks write the columns of their taps in all rows, and all tasks together have all taps.
    #[allow(unsafe_code)]
    unsafe {
        DisjointOutput::fill(outputs * depth, |gradient| {
            (0..partition.blocks).into_par_iter().for_each(|block| {
                with_scratch(partition.sums_len(block), |sums| {
                    partition.sum(block, 0, sums);
                    let column = block * partition.block_inputs * taps;
                    write_sum(
                        &[sums],
                        partition.stride,
                        0..outputs,
                        gradient,
                        [depth, column],
                    );
                });
            });
        })
    }
}

/// The sums over positions in parts: blocks of inputs times groups of rows of positions. Both follow from the shape alone.
/// Groups must be added in order.
struct Partition<'a> {
    shape: &'a ConvShape,
    input: PaddedInput<'a>,
    grad_panels: Vec<f32>,
    /// Inputs of a block; the last one may have fewer.
    block_inputs: usize,
    blocks: usize,
    /// Rows of positions of a group; the last one may have fewer.
    group_rows: usize,
    groups: usize,
    /// Sums of a tap: outputs, rounded up to whole panels.
    stride: usize,
}

impl<'a> Partition<'a> {
    fn new(shape: &'a ConvShape, grad_output: &[f32], input: PaddedInput<'a>) -> Self {
        let positions = shape.images * shape.output_area();
        let max_groups = (positions / MIN_POSITIONS).clamp(1, TASKS);
        let block_inputs = TASK_TAPS.div_ceil(shape.taps());
        let block_inputs = block_inputs.min(shape.in_channels.div_ceil(TASKS / max_groups));
        let blocks = shape.in_channels.div_ceil(block_inputs);
        let rows = shape.images * shape.output_size[0];
        let group_rows = rows.div_ceil(TASKS.div_ceil(blocks).min(max_groups));
        Self {
            shape,
            input,
            grad_panels: grad_panels(shape, grad_output),
            block_inputs,
            blocks,
            group_rows,
            groups: rows.div_ceil(group_rows),
            stride: shape.out_channels.next_multiple_of(PANEL),
        }
    }

    fn inputs(&self, block: usize) -> Range<usize> {
        let first = block * self.block_inputs;
        first..self.shape.in_channels.min(first + self.block_inputs)
    }

    /// Number of sums of a part.
    fn sums_len(&self, block: usize) -> usize {
        self.inputs(block).len() * self.shape.taps() * self.stride
    }

    /// Computes a part.
    fn sum(&self, block: usize, group: usize, sums: &mut [f32]) {
        let rows = self.shape.images * self.shape.output_size[0];
        let first = group * self.group_rows;
        dispatch(Task {
            shape: self.shape,
            input: &self.input,
            grad_panels: &self.grad_panels,
            panel_stride: self.shape.images * self.shape.output_area(),
            inputs: self.inputs(block),
            rows: first..rows.min(first + self.group_rows),
            sums,
            overwrite: true,
        });
    }

    /// All parts: block by block, and in each the groups.
    fn partial_sums(&self) -> Vec<Vec<f32>> {
        let part = |task: usize| {
            let (block, group) = (task / self.groups, task % self.groups);
            let mut sums = vec![0.0; self.sums_len(block)];
            self.sum(block, group, &mut sums);
            sums
        };
        (0..self.blocks * self.groups)
            .into_par_iter()
            .map(part)
            .collect()
    }
}

/// The output's gradient as `[panels, images * positions, PANEL]`, with zeros for the outputs that the last panel lacks.
fn grad_panels(shape: &ConvShape, grad_output: &[f32]) -> Vec<f32> {
    let (area, outputs) = (shape.output_area(), shape.out_channels);
    alloc_blocks(
        outputs.div_ceil(PANEL) * shape.images * area * PANEL,
        area * PANEL,
        #[inline(always)]
        |i, out| {
            let (panel, image) = (i / shape.images, i % shape.images);
            let range = panel * PANEL..outputs.min((panel + 1) * PANEL);
            let first = (image * outputs + range.start) * area;
            let planes = &grad_output[first..][..range.len() * area];
            let planes = Matrix::row_major(planes, area);
            transpose(planes, [range.len(), area], out, PANEL);
        },
    )
}
