//! The output at neighboring positions: a block of sums is 32 outputs times 32 positions.

use std::ops::Range;

use rayon::prelude::*;

use super::round_to_bf16;
use crate::cpu::bf16::x86::layout::{CacheLine, LANES};
use crate::cpu::bf16::x86::pack;
use crate::cpu::bf16::x86::{AmxSession, CHUNK_LINES, EDGE};
use crate::cpu::conv::output_rows::OutputRows;
use crate::cpu::conv::padded::PaddedLayout;
use crate::cpu::conv::shape::ConvShape;
use crate::cpu::conv::weight_view::WeightView;
use crate::cpu::gemm::DisjointOutput;
use crate::cpu::gemm::epilogue::Epilogue;
use crate::cpu::matrix::OutPtr;
use crate::cpu::simd::simd_dispatch;
use crate::cpu::tensor::{alloc_blocks, with_scratch};

/// Positions of a task, which share the weights that are read.
const TASK_POSITIONS: usize = 8 * EDGE;
/// Number of tasks.
const TASKS: usize = 8;

/// `[images, out, positions]` from `x` and the weight. `plan` chooses it only where AMX is in use.
pub(in crate::cpu::conv) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weight: WeightView<'_>,
    epilogue: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    assert!(crate::cpu::bf16::amx_in_use());
    shape.count_flops();
    let layout = PaddedLayout::new(shape, EDGE);
    let chunks = pack::chunks(shape.in_channels);
    let input = pack_input(shape, &layout, x, chunks);
    let weight = pack_weight(shape, weight, chunks);
    let (channel_stride, taps) = (layout.channel_stride(), layout.taps.as_slice());
    let chunk_taps = |i: usize| taps.iter().map(move |tap| i * LANES * channel_stride + tap);
    let offsets: Vec<usize> = (0..chunks).flat_map(chunk_taps).collect();
    let strides = [layout.image_stride, layout.row_stride];
    let length = shape.end(strides);
    let blocks = length.div_ceil(TASK_POSITIONS);
    let panels = shape.out_channels.div_ceil(EDGE);
    let group_panels = panels.div_ceil(TASKS.div_ceil(blocks));
    let groups = panels.div_ceil(group_panels);
    let run_task = |task: usize, output: &DisjointOutput| {
        let position = task / groups * TASK_POSITIONS;
        let panel = task % groups * group_panels;
        let task = Task {
            input: &input,
            channel_stride,
            weight: &weight,
            offsets: &offsets,
            positions: position..length.min(position + TASK_POSITIONS),
            rows: OutputRows::new(shape, strides, epilogue, output),
        };
        // SAFETY: AMX is in use (asserted), and a task makes one session and starts no rayon work. Tasks write disjoint
        // blocks, positions times panels.
        #[allow(unsafe_code)]
        unsafe {
            let session = AmxSession::new();
            for panel in panel..panels.min(panel + group_panels) {
                task.write_panel(&session, panel, shape.out_channels);
            }
        }
    };
    // SAFETY: all tasks together write every position of every output.
    #[allow(unsafe_code)]
    unsafe {
        DisjointOutput::fill(
            shape.images * shape.out_channels * shape.output_area(),
            |output| {
                (0..blocks * groups)
                    .into_par_iter()
                    .for_each(|task| run_task(task, output));
            },
        )
    }
}

/// Pairs of channels as 32-bit values, the first channel in the lower half; zeros after the last channel up to the end of
/// its chunk.
fn pack_input(shape: &ConvShape, layout: &PaddedLayout<'_>, x: &[f32], chunks: usize) -> Vec<u32> {
    layout.fill(
        chunks * LANES,
        #[inline(always)]
        |pair, run, out: &mut [u32]| {
            let first = 2 * pair;
            if first < shape.in_channels {
                layout.for_values(
                    x,
                    first,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out = round_to_bf16(value) >> 16,
                );
            }
            if first + 1 < shape.in_channels {
                layout.for_values(
                    x,
                    first + 1,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out |= round_to_bf16(value) & 0xffff_0000,
                );
            }
        },
    )
}

/// Panels of 32 outputs; in each, chunks of the inputs, and in these the taps.
fn pack_weight(shape: &ConvShape, weight: WeightView<'_>, chunks: usize) -> Vec<CacheLine> {
    let taps = shape.taps();
    let panel_lines = chunks * taps * CHUNK_LINES;
    alloc_blocks(
        shape.out_channels.div_ceil(EDGE) * panel_lines,
        taps * CHUNK_LINES,
        #[inline(always)]
        |i, out| {
            let (first_output, first_input) = (i / chunks * EDGE, i % chunks * 2 * LANES);
            let inputs = (shape.in_channels - first_input).min(2 * LANES);
            for row in 0..EDGE.min(shape.out_channels - first_output) {
                for (tap, out) in out.chunks_exact_mut(CHUNK_LINES).enumerate() {
                    let (values, stride) = weight.inputs(first_output + row, first_input, tap);
                    // SAFETY: matrices are multiplied in bf16, so the processor has AVX-512 BF16.
                    #[allow(unsafe_code)]
                    unsafe {
                        pack::line(values, stride, inputs, &mut out[row]);
                    }
                }
            }
        },
    )
}

/// Some positions.
struct Task<'a> {
    input: &'a [u32],
    /// From a pair of channels to the next.
    channel_stride: usize,
    weight: &'a [CacheLine],
    /// Of each chunk and tap, from the position.
    offsets: &'a [usize],
    positions: Range<usize>,
    rows: OutputRows<'a>,
}

impl Task<'_> {
    /// Computes and writes a panel of outputs.
    ///
    /// # Safety
    /// The requirements of [`OutputRows::write`] must hold for the panel and the positions.
    #[allow(unsafe_code)]
    unsafe fn write_panel(&self, session: &AmxSession, panel: usize, outputs: usize) {
        let panel_lines = self.offsets.len() * CHUNK_LINES;
        let weight = &self.weight[panel * panel_lines..][..panel_lines];
        let count = self.positions.len().div_ceil(EDGE) * EDGE;
        let last = self.offsets.iter().max().map_or(0, |last| *last);
        let end = self.positions.start + count + last + (LANES - 1) * self.channel_stride;
        assert!(end <= self.input.len());
        with_scratch(EDGE * TASK_POSITIONS + LANES, |sums| {
            // Rows of tiles inside one cache line are written in one access.
            let first = sums
                .as_ptr()
                .align_offset(size_of::<CacheLine>())
                .min(LANES);
            let sums = &mut sums[first..][..EDGE * TASK_POSITIONS];
            for position in (0..count).step_by(EDGE) {
                let start = self.positions.start + position;
                let out = OutPtr {
                    ptr: sums[position..].as_mut_ptr(),
                    stride: TASK_POSITIONS,
                };
                // SAFETY: the furthest tap of the last chunk is inside the input (asserted); `sums` has 32 rows of
                // `TASK_POSITIONS` values.
                unsafe {
                    let input = (self.input.as_ptr().add(start), self.channel_stride);
                    session.multiply_at_offsets(weight, input, self.offsets, out);
                }
            }
            let channels = panel * EDGE..outputs.min((panel + 1) * EDGE);
            simd_dispatch(
                #[inline(always)]
                || {
                    let positions = self.positions.clone();
                    // SAFETY: the caller guarantees the requirements.
                    unsafe { self.rows.write(channels, positions, sums, TASK_POSITIONS) }
                },
            );
        });
    }
}
