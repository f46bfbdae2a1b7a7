//! The weight's gradient: a block of sums, over positions, is 32 inputs at a tap times 32 outputs.

use std::ops::Range;

use rayon::prelude::*;

use super::round_to_bf16;
use crate::cpu::bf16::x86::layout::CacheLine;
use crate::cpu::bf16::x86::pack;
use crate::cpu::bf16::x86::{AmxSession, CHUNK_LINES, EDGE};
use crate::cpu::conv::padded::PaddedLayout;
use crate::cpu::conv::pointwise::{sampled_input, sampled_shape};
use crate::cpu::conv::reduce_partials::sum_partials;
use crate::cpu::conv::shape::ConvShape;
use crate::cpu::matrix::OutPtr;
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::alloc_blocks;

/// Chunks of positions that are read for all taps in turn.
const BLOCK_CHUNKS: usize = 16;
/// Number of tasks, and the minimum number of chunks of positions that are distributed over tasks.
const TASKS: usize = 8;
const MIN_CHUNKS: usize = 16;

/// The gradient of the weight. `plan` chooses it only where AMX is in use.
pub(in crate::cpu::conv) fn weight_grad(
    shape: &ConvShape,
    grad_output: &[f32],
    x: &[f32],
) -> Vec<f32> {
    assert!(crate::cpu::bf16::amx_in_use());
    shape.count_flops();
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    if !shape.is_pointwise() {
        let partition = Partition::new(shape, grad_output, x);
        let partials = partition.partial_sums();
        let dims = [outputs, shape.depth()];
        return sum_partials(&partials, partition.groups, partition.stride, dims);
    }
    // Inputs and outputs are exchanged, so that rows of sums are those of the weight.
    let exchanged = ConvShape {
        in_channels: outputs,
        out_channels: inputs,
        ..sampled_shape(shape)
    };
    let partition = Partition::new(&exchanged, &sampled_input(shape, x), grad_output);
    let is_whole = outputs.is_multiple_of(EDGE) && partition.stride == inputs;
    if partition.groups == 1 && is_whole {
        let add = |block: usize, out: &mut [f32]| partition.add(block, out);
        return alloc_blocks(outputs * inputs, EDGE * inputs, add);
    }
    let partials = partition.partial_sums();
    alloc_blocks(
        outputs * inputs,
        inputs,
        #[inline(always)]
        |row, out| {
            let block = row / EDGE * partition.groups;
            for partial in &partials[block..block + partition.groups] {
                let values = &partial[row % EDGE * partition.stride..];
                for (out, value) in out.iter_mut().zip(values) {
                    *out += *value;
                }
            }
        },
    )
}

/// The sums over positions in parts: blocks of 32 inputs times groups of positions. Both follow from the shape alone; groups
/// are added in order.
struct Partition<'a> {
    shape: &'a ConvShape,
    layout: PaddedLayout<'a>,
    input: Vec<u16>,
    grad: Vec<CacheLine>,
    /// Chunks of all positions, and of a group.
    chunks: usize,
    group_chunks: usize,
    groups: usize,
    /// From a row of sums to the next.
    stride: usize,
}

impl<'a> Partition<'a> {
    fn new(shape: &'a ConvShape, grad_output: &[f32], x: &[f32]) -> Self {
        let layout = PaddedLayout::new(shape, EDGE);
        let chunks = (shape.images * layout.image_stride).div_ceil(EDGE);
        let max_groups = TASKS.div_ceil(shape.in_channels.div_ceil(EDGE));
        let group_chunks = chunks.div_ceil(max_groups.min(chunks.div_ceil(MIN_CHUNKS)));
        Self {
            shape,
            input: pack_input(shape, &layout, x),
            grad: pack_grad(shape, &layout, grad_output, chunks),
            layout,
            chunks,
            group_chunks,
            groups: chunks.div_ceil(group_chunks),
            stride: shape.out_channels.next_multiple_of(EDGE),
        }
    }

    /// `[inputs, taps, outputs]` of each part: block by block, and in each the groups.
    fn partial_sums(&self) -> Vec<Vec<f32>> {
        let row = self.shape.taps() * self.stride;
        let part = |task: usize| {
            let mut sums = vec![0.0; EDGE * row];
            self.add(task, &mut sums);
            let first = task / self.groups * EDGE;
            sums.truncate(EDGE.min(self.shape.in_channels - first) * row);
            sums
        };
        let tasks = self.shape.in_channels.div_ceil(EDGE) * self.groups;
        (0..tasks).into_par_iter().map(part).collect()
    }

    /// Adds a part to `sums` of 32 inputs.
    fn add(&self, task: usize, sums: &mut [f32]) {
        let (block, first) = (task / self.groups, task % self.groups * self.group_chunks);
        let channel_stride = self.layout.channel_stride();
        let task = Task {
            input: &self.input[block * EDGE * channel_stride..],
            channel_stride,
            taps: &self.layout.taps,
            grad: &self.grad,
            panel_lines: self.chunks * CHUNK_LINES,
            stride: self.stride,
        };
        task.add(first..self.chunks.min(first + self.group_chunks), sums);
    }
}

/// The padded input in bf16, with channels of zeros up to a multiple of 32.
fn pack_input(shape: &ConvShape, layout: &PaddedLayout<'_>, x: &[f32]) -> Vec<u16> {
    layout.fill(
        shape.in_channels.next_multiple_of(EDGE),
        #[inline(always)]
        |channel, run, out: &mut [u16]| {
            if channel < shape.in_channels {
                layout.for_values(
                    x,
                    channel,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out = (round_to_bf16(value) >> 16) as u16,
                );
            }
        },
    )
}

/// The output's gradient: panels of 32 outputs, in each the chunks of positions, in pairs. Positions in the padding are
/// zero.
fn pack_grad(
    shape: &ConvShape,
    layout: &PaddedLayout<'_>,
    grad_output: &[f32],
    chunks: usize,
) -> Vec<CacheLine> {
    let [height, width] = shape.output_size;
    let panels = shape.out_channels.div_ceil(EDGE);
    let lines = alloc_blocks(
        panels * EDGE * chunks,
        chunks,
        #[inline(always)]
        |channel, out: &mut [CacheLine]| {
            if channel >= shape.out_channels {
                return;
            }
            let values = out.as_mut_ptr().cast::<u16>();
            // SAFETY: a cache line is 32 values of 16 bits.
            #[allow(unsafe_code)]
            let out = unsafe { std::slice::from_raw_parts_mut(values, out.len() * EDGE) };
            for image in 0..shape.images {
                let plane = (image * shape.out_channels + channel) * shape.output_area();
                let plane = &grad_output[plane..];
                for row in 0..height {
                    let start = image * layout.image_stride + row * layout.row_stride;
                    let values = &plane[row * width..][..width];
                    for (out, value) in out[start..start + width].iter_mut().zip(values) {
                        *out = (round_to_bf16(*value) >> 16) as u16;
                    }
                }
            }
        },
    );
    let panel_lines = chunks * CHUNK_LINES;
    alloc_blocks(panels * panel_lines, panel_lines, |panel, out| {
        let columns = &lines[panel * EDGE * chunks..][..EDGE * chunks];
        // SAFETY: matrices are multiplied in bf16, so the processor has AVX-512 BF16.
        #[allow(unsafe_code)]
        unsafe {
            pack::transposed_lines(columns, chunks, out);
        }
    })
}

/// 32 inputs.
struct Task<'a> {
    /// From the first input on.
    input: &'a [u16],
    channel_stride: usize,
    taps: &'a [usize],
    grad: &'a [CacheLine],
    /// Cache lines of a panel of the gradient.
    panel_lines: usize,
    /// From a row of sums to the next.
    stride: usize,
}

impl Task<'_> {
    /// Adds some chunks of positions to `sums` `[inputs, taps, outputs]`.
    fn add(&self, chunks: Range<usize>, sums: &mut [f32]) {
        let taps = self.taps.len();
        let last = self.taps.iter().max().map_or(0, |last| *last);
        assert!((EDGE - 1) * self.channel_stride + last + chunks.end * EDGE <= self.input.len());
        assert!(sums.len() == EDGE * taps * self.stride);
        simd_dispatch(
            #[inline(always)]
            || {
                // SAFETY: AMX is in use (asserted in `weight_grad`); this closure makes one session and starts no rayon
                // work.
                #[allow(unsafe_code)]
                let session = unsafe { AmxSession::new() };
                for first in chunks.clone().step_by(BLOCK_CHUNKS) {
                    let count = BLOCK_CHUNKS.min(chunks.end - first);
                    let panels = self.grad.chunks_exact(self.panel_lines);
                    for (panel, grad) in panels.enumerate() {
                        let grad = &grad[first * CHUNK_LINES..][..count * CHUNK_LINES];
                        for (i, tap) in self.taps.iter().enumerate() {
                            let out = OutPtr {
                                ptr: sums[i * self.stride + panel * EDGE..].as_mut_ptr(),
                                stride: taps * self.stride,
                            };
                            // SAFETY: the furthest tap of the last input is inside the input, and the last input's row
                            // inside the sums (asserted).
                            #[allow(unsafe_code)]
                            unsafe {
                                let input = self.input[first * EDGE + tap..].as_ptr();
                                let input = (input, self.channel_stride);
                                session.multiply_rows(input, grad, out, true);
                            }
                        }
                    }
                }
            },
        );
    }
}
