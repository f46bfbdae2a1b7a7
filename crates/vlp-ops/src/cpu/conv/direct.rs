//! Direct convolution: sums over taps in vector registers, without an im2col matrix.
//!
//! A tile is some outputs times some vectors of neighboring positions, all in registers. Each tap reads the vectors at a
//! constant distance from the position ([`PaddedInput`]) and multiplies them by one value of the weight per output.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::output_rows::OutputRows;
use super::padded::{PaddedInput, PaddedLayout, SLACK};
use super::shape::ConvShape;
use super::weight_view::WeightView;
use crate::cpu::gemm::DisjointOutput;
use crate::cpu::gemm::epilogue::Epilogue;
use crate::cpu::simd::dispatch;
use crate::cpu::tensor::with_scratch;

/// Terms of a first sum, in registers.
const FIRST_SUM: usize = 27;
/// Number of first sums that are added before they are added to the total. Sums in three levels of similar length have the
/// smallest rounding errors, which decide whether values near zero pass a ReLU after the convolution.
const SECOND_SUM: usize = 12;
/// The outputs of a task are a multiple of this.
const OUTPUT_BLOCK: usize = 8;
/// Positions of a task: several tiles, which share the weights that are read.
const TASK_POSITIONS: usize = 4 * SLACK;
/// Input values at the positions of a task that are read for all outputs in turn: half of an L1 cache.
const STAGE_VALUES: usize = 1 << 12;
/// Floats of a cache line.
const CACHE_LINE: usize = 16;
/// Number of tasks.
const TASKS: usize = 16;

/// Whether most positions are in the output, rather than in the padding between small images.
pub(super) fn fits(shape: &ConvShape) -> bool {
    let [rows, columns] = PaddedLayout::padded_size(shape);
    let length = (shape.images * rows * columns).next_multiple_of(CACHE_LINE);
    !shape.is_pointwise() && 10 * shape.images * shape.output_area() >= 7 * length
}

/// `[images, out, positions]` from `x` and the weight.
pub(super) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weight: WeightView<'_>,
    epilogue: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    shape.count_flops();
    let input = PaddedInput::new(shape, x);
    let length = shape.end([input.image_stride, input.row_stride]);
    let blocks = length.div_ceil(TASK_POSITIONS);
    let task_outputs = shape
        .out_channels
        .div_ceil(TASKS.div_ceil(blocks))
        .next_multiple_of(OUTPUT_BLOCK);
    let groups = shape.out_channels.div_ceil(task_outputs);
    let first_sums = first_sums(shape);
    let values_per_channel = shape.kernel[0] * (TASK_POSITIONS + shape.kernel[1]);
    let stage_len = (STAGE_VALUES / (values_per_channel * first_sums[0].inputs.len())).max(1);
    // SAFETY: tasks write disjoint blocks, positions times outputs, and the blocks are all of the output.
    #[allow(unsafe_code)]
    unsafe {
        DisjointOutput::fill(
            shape.images * shape.out_channels * shape.output_area(),
            |output| {
                (0..blocks * groups).into_par_iter().for_each(|task| {
                    let position = task / groups * TASK_POSITIONS;
                    let channel = task % groups * task_outputs;
                    let task = Task {
                        shape,
                        input: &input,
                        weight,
                        first_sums: &first_sums,
                        stage_len,
                        stages_per_sum: SECOND_SUM.div_ceil(stage_len),
                        epilogue,
                        positions: position..length.min(position + TASK_POSITIONS),
                        outputs: channel..shape.out_channels.min(channel + task_outputs),
                        output,
                    };
                    let sums_len = 2 * task_outputs * TASK_POSITIONS;
                    with_scratch(sums_len + CACHE_LINE, |sums| {
                        // Vectors inside one cache line are read and written in one access.
                        let first = sums
                            .as_ptr()
                            .align_offset(CACHE_LINE * size_of::<f32>())
                            .min(CACHE_LINE);
                        let sums = &mut sums[first..][..sums_len];
                        dispatch(Run { task: &task, sums })
                    });
                });
            },
        )
    }
}

/// The terms of a first sum.
struct FirstSum {
    inputs: Range<usize>,
    taps: Range<usize>,
}

fn first_sums(shape: &ConvShape) -> Vec<FirstSum> {
    let taps = shape.taps();
    let (inputs, sum_taps) = match FIRST_SUM / taps {
        0 => (1, taps.div_ceil(taps.div_ceil(FIRST_SUM))),
        inputs => (inputs, taps),
    };
    let mut sums = vec![];
    for input in (0..shape.in_channels).step_by(inputs) {
        let inputs = input..shape.in_channels.min(input + inputs);
        for tap in (0..taps).step_by(sum_taps) {
            sums.push(FirstSum {
                inputs: inputs.clone(),
                taps: tap..taps.min(tap + sum_taps),
            });
        }
    }
    sums
}

/// Some outputs at some positions.
struct Task<'a> {
    shape: &'a ConvShape,
    input: &'a PaddedInput<'a>,
    weight: WeightView<'a>,
    first_sums: &'a [FirstSum],
    /// First sums whose inputs stay in the L1 cache.
    stage_len: usize,
    /// Stages of a second sum.
    stages_per_sum: usize,
    epilogue: Option<&'a Epilogue<'a>>,
    positions: Range<usize>,
    outputs: Range<usize>,
    output: &'a DisjointOutput,
}

/// Some first sums of a task.
#[derive(Clone, Copy)]
struct Stage<'a> {
    first_sums: &'a [FirstSum],
    /// Whether they are the first of a second sum.
    starts_sum: bool,
    /// Whether they are the last of a second sum.
    ends_sum: bool,
    /// Whether that sum is the first.
    starts_total: bool,
}

/// A task with memory for its second sums, followed by that for their totals.
struct Run<'a> {
    task: &'a Task<'a>,
    sums: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { task, sums } = self;
        let end = task.outputs.end;
        for (number, first_sums) in task.first_sums.chunks(task.stage_len).enumerate() {
            let stage = Stage {
                first_sums,
                starts_sum: number.is_multiple_of(task.stages_per_sum),
                ends_sum: (number + 1).is_multiple_of(task.stages_per_sum)
                    || (number + 1) * task.stage_len >= task.first_sums.len(),
                starts_total: number < task.stages_per_sum,
            };
            let mut output = task.outputs.start;
            while output < end {
                output += task.add_outputs(simd, output..end, stage, sums);
            }
        }
        let strides = [task.input.image_stride, task.input.row_stride];
        let rows = OutputRows::new(task.shape, strides, task.epilogue, task.output);
        let totals = &sums[sums.len() / 2..];
        let (outputs, positions) = (task.outputs.clone(), task.positions.clone());
        // SAFETY: only this task accesses these outputs and positions.
        #[allow(unsafe_code)]
        unsafe {
            rows.write(outputs, positions, totals, TASK_POSITIONS);
        }
    }
}

impl Task<'_> {
    /// Adds a stage of some of the outputs at all positions to the sums; returns their number.
    ///
    /// Registers hold the sums, the vectors of a tap, and a value of the weight, or two: with sixteen, four times three sums
    /// would leave one value waiting for memory.
    #[inline(always)]
    fn add_outputs<S: Simd>(
        &self,
        simd: S,
        outputs: Range<usize>,
        stage: Stage<'_>,
        sums: &mut [f32],
    ) -> usize {
        let first = outputs.start;
        match (S::REGISTER_COUNT, outputs.len()) {
            (32.., 8..) => self.add_stage::<S, 8, 3>(simd, first, stage, sums),
            (32.., 4..) => self.add_stage::<S, 4, 3>(simd, first, stage, sums),
            (32.., _) => self.add_stage::<S, 1, 3>(simd, first, stage, sums),
            // Eight outputs are twice four, rather than six and two.
            (_, 6..8 | 9..) => self.add_stage::<S, 6, 2>(simd, first, stage, sums),
            (_, 4..) => self.add_stage::<S, 4, 2>(simd, first, stage, sums),
            (_, 2..) => self.add_stage::<S, 2, 2>(simd, first, stage, sums),
            _ => self.add_stage::<S, 1, 2>(simd, first, stage, sums),
        }
    }

    /// Adds a stage of `R` outputs at all positions to the sums, in tiles of `V` vectors; returns `R`.
    #[inline(always)]
    fn add_stage<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        output: usize,
        stage: Stage<'_>,
        sums: &mut [f32],
    ) -> usize {
        let PaddedInput {
            values,
            channel_stride,
            taps,
            ..
        } = self.input;
        let (sums, totals) = sums.split_at_mut(sums.len() / 2);
        let first = (output - self.outputs.start) * TASK_POSITIONS;
        let rows = first..first + R * TASK_POSITIONS;
        let sums = [&mut sums[rows.clone()], &mut totals[rows]].map(|sums| sums.as_mut_ptr());
        assert!(self.weight.taps.len() == taps.len());
        self.weight
            .assert_contains(output + R, self.shape.in_channels);
        let last_tap = taps.iter().max().map_or(0, |tap| *tap);
        let last = (self.shape.in_channels - 1) * channel_stride + last_tap;
        let count = self.positions.len();
        let mut position = 0;
        while position < count {
            // The last vector may end after the last position.
            let vectors = (count - position).div_ceil(S::F32_LANES).min(V);
            let width = S::F32_LANES * vectors;
            let start = self.positions.start + position;
            assert!(start + last + width <= values.len() && position + width <= TASK_POSITIONS);
            // SAFETY: the furthest tap of the last input, the weights of `R` outputs and the rows of the sums are inside
            // their slices (asserted or sliced above).
            #[allow(unsafe_code)]
            unsafe {
                let x = values.as_ptr().add(start);
                let sums = [sums[0].add(position), sums[1].add(position)];
                match vectors {
                    1 => self.add_tile::<S, R, 1>(simd, output, stage, x, sums),
                    2 => self.add_tile::<S, R, 2>(simd, output, stage, x, sums),
                    _ => self.add_tile::<S, R, V>(simd, output, stage, x, sums),
                }
            }
            position += width;
        }
        R
    }

    /// Adds a stage of `R` outputs and `V` vectors of positions.
    ///
    /// # Safety
    /// `V` vectors at every tap of every input from `x` on, and the weights of `R` outputs from `output` on, must be
    /// valid for reads. `R` rows of `V` vectors, `TASK_POSITIONS` values apart, must be valid for reads and writes at
    /// both pointers of `sums` (second sums and totals).
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn add_tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        output: usize,
        stage: Stage<'_>,
        x: *const f32,
        [second_sums, totals]: [*mut f32; 2],
    ) {
        let Stage {
            first_sums,
            starts_sum,
            ends_sum,
            starts_total,
        } = stage;
        let tap_offsets = self.input.taps.as_slice();
        let weight = self.weight;
        let zeros = [[simd.splat_f32s(0.0); V]; R];
        let mut sums = zeros;
        if !starts_sum {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller guarantees the requirements.
                    *sum = unsafe {
                        second_sums
                            .add(row * TASK_POSITIONS)
                            .cast::<S::f32s>()
                            .add(v)
                            .read_unaligned()
                    };
                }
            }
        }
        for FirstSum { inputs, taps } in first_sums {
            let mut first_sum = zeros;
            for input in inputs.clone() {
                // SAFETY: guaranteed by the caller; `first_sums` has ranges of inputs and taps that exist.
                unsafe {
                    let x = x.add(input * self.input.channel_stride);
                    let kernel = weight.values.as_ptr();
                    let kernel =
                        kernel.add(output * weight.output_stride + input * weight.input_stride);
                    let tap_offsets = tap_offsets.get_unchecked(taps.clone());
                    let weight_offsets = weight.taps.get_unchecked(taps.clone());
                    for (tap_offset, weight_offset) in tap_offsets.iter().zip(weight_offsets) {
                        let factors = kernel.add(*weight_offset);
                        let x = x.add(*tap_offset).cast::<S::f32s>();
                        let mut vectors = [simd.splat_f32s(0.0); V];
                        for (v, vector) in vectors.iter_mut().enumerate() {
                            *vector = x.add(v).read_unaligned();
                        }
                        for (row, sums) in first_sum.iter_mut().enumerate() {
                            let factor = *factors.add(row * weight.output_stride);
                            let factor = simd.splat_f32s(factor);
                            for (sum, vector) in sums.iter_mut().zip(vectors) {
                                *sum = simd.mul_add_e_f32s(factor, vector, *sum);
                            }
                        }
                    }
                }
            }
            for (sums, first_sum) in sums.iter_mut().zip(first_sum) {
                for (sum, first_sum) in sums.iter_mut().zip(first_sum) {
                    *sum = simd.add_f32s(*sum, first_sum);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                // SAFETY: the caller guarantees the requirements.
                unsafe {
                    let offset = row * TASK_POSITIONS;
                    let second_sum = second_sums.add(offset).cast::<S::f32s>().add(v);
                    let total = totals.add(offset).cast::<S::f32s>().add(v);
                    match (ends_sum, starts_total) {
                        (false, _) => second_sum.write_unaligned(*sum),
                        (true, true) => total.write_unaligned(*sum),
                        (true, false) => {
                            total.write_unaligned(simd.add_f32s(total.read_unaligned(), *sum));
                        }
                    }
                }
            }
        }
    }
}
