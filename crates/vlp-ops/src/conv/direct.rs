//! Convolution by sums over taps, without columns: vectors of neighbouring positions, read where the map lies.
//!
//! A tile is some outputs times some vectors of positions, all in registers; a tap reads the vectors at one distance from
//! the position ([`Padded`]) and multiplies each with one value of the weight.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::kernels::Weight;
use super::padded::{Layout, Padded, SLACK};
use super::rows::Rows;
use super::sizes::Sizes;
use crate::finish::Finish;
use crate::flex::scratch;
use crate::matrix::Sheet;
use crate::route::in_bf16;

/// Products summed in a run, in registers.
const RUN: usize = 27;
/// Runs whose sums are added up before they join the total. Sums in three levels of like length round least, and what a
/// ReLU behind the convolution lets pass hangs on rounding.
const MIDDLE: usize = 12;
/// Outputs of a tile, at most.
const MOST_ROWS: usize = 8;
/// Vectors of a tile, in the direction of positions.
const VECTORS: usize = 3;
/// Positions of a task: whole tiles, that share what is read of the weight.
const POSITIONS: usize = 4 * SLACK;
/// Floats of some inputs at the positions of a task, that are read for all outputs one after the other: half of a first cache.
const INPUTS: usize = 1 << 12;
/// Floats of a line of the cache.
const LINE: usize = 16;
/// Tasks aimed at, to share among cores.
const TASKS: usize = 16;

/// Whether vectors hold positions enough: not between small maps.
pub(super) fn pays(sizes: &Sizes) -> bool {
    let [rows, pitch] = Layout::steps(sizes);
    let length = (sizes.images * rows * pitch).next_multiple_of(LINE);
    !in_bf16() && !sizes.pointwise() && 10 * sizes.images * sizes.area() >= 7 * length
}

/// `[images, out, positions]` from `x` and the weight, finished.
pub(super) fn convolve(
    sizes: &Sizes,
    x: &[f32],
    weight: Weight<'_>,
    finish: Option<&Finish<'_>>,
) -> Vec<f32> {
    sizes.count();
    let padded = Padded::new(sizes, x);
    let length = sizes.end([padded.image, padded.pitch]);
    let blocks = length.div_ceil(POSITIONS);
    let outputs = sizes
        .output
        .div_ceil(TASKS.div_ceil(blocks))
        .next_multiple_of(MOST_ROWS);
    let groups = sizes.output.div_ceil(outputs);
    let runs = runs(sizes);
    let seen = sizes.kernel[0] * (POSITIONS + sizes.kernel[1]);
    let together = (INPUTS / (seen * runs[0].0.len())).max(1);
    let arch = Arch::new();
    // SAFETY: tasks write disjoint blocks: positions times outputs. All together are all.
    #[allow(unsafe_code)]
    unsafe {
        Sheet::fill(sizes.images * sizes.output * sizes.area(), |sheet| {
            (0..blocks * groups).into_par_iter().for_each(|task| {
                let (block, group) = (task / groups * POSITIONS, task % groups * outputs);
                let task = Task {
                    sizes,
                    padded: &padded,
                    weight,
                    runs: &runs,
                    together,
                    middle: MIDDLE.div_ceil(together),
                    finish,
                    positions: block..length.min(block + POSITIONS),
                    outputs: group..sizes.output.min(group + outputs),
                    sheet,
                };
                scratch(2 * outputs * POSITIONS + LINE, |sums| {
                    // Vectors that lie in one line of the cache are read and written in one access.
                    let first = sums
                        .as_ptr()
                        .align_offset(LINE * size_of::<f32>())
                        .min(LINE);
                    let sums = &mut sums[first..][..2 * outputs * POSITIONS];
                    arch.dispatch(Run { task: &task, sums })
                });
            });
        })
    }
}

/// Inputs and taps whose products are one run.
type Part = (Range<usize>, Range<usize>);

fn runs(sizes: &Sizes) -> Vec<Part> {
    let taps = sizes.taps();
    let (inputs, part) = match RUN / taps {
        0 => (1, taps.div_ceil(taps.div_ceil(RUN))),
        inputs => (inputs, taps),
    };
    let mut runs = vec![];
    for input in (0..sizes.input).step_by(inputs) {
        let inputs = input..sizes.input.min(input + inputs);
        for tap in (0..taps).step_by(part) {
            runs.push((inputs.clone(), tap..taps.min(tap + part)));
        }
    }
    runs
}

/// Some outputs at some positions.
struct Task<'a> {
    sizes: &'a Sizes,
    padded: &'a Padded<'a>,
    weight: Weight<'a>,
    runs: &'a [Part],
    /// Runs whose inputs stay in the first cache, and how many such there are to a sum that joins the total.
    together: usize,
    middle: usize,
    finish: Option<&'a Finish<'a>>,
    positions: Range<usize>,
    outputs: Range<usize>,
    sheet: &'a Sheet,
}

/// Some runs of a task.
#[derive(Clone, Copy)]
struct Stage<'a> {
    runs: &'a [Part],
    /// The first and the last ones of a sum that joins the total.
    first: bool,
    last: bool,
    /// That sum is the first.
    fresh: bool,
}

/// A task and room for its sums, then for their totals.
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
        for (number, runs) in task.runs.chunks(task.together).enumerate() {
            let stage = Stage {
                runs,
                first: number.is_multiple_of(task.middle),
                last: (number + 1).is_multiple_of(task.middle)
                    || (number + 1) * task.together >= task.runs.len(),
                fresh: number < task.middle,
            };
            let mut output = task.outputs.start;
            // Registers hold the sums, the vectors of a tap, and one value of the weight.
            while output < end {
                output += match end - output {
                    MOST_ROWS.. if S::REGISTER_COUNT >= 32 => {
                        task.rows::<S, MOST_ROWS>(simd, output, stage, sums)
                    }
                    4.. => task.rows::<S, 4>(simd, output, stage, sums),
                    _ => task.rows::<S, 1>(simd, output, stage, sums),
                };
            }
        }
        let place = [task.padded.image, task.padded.pitch];
        let rows = Rows::new(task.sizes, place, task.finish, task.sheet);
        let sums = &sums[sums.len() / 2..];
        // SAFETY: of outputs and positions that are this task's.
        #[allow(unsafe_code)]
        unsafe {
            rows.write(
                task.outputs.clone(),
                task.positions.clone(),
                sums,
                POSITIONS,
            );
        }
    }
}

impl Task<'_> {
    /// Adds some runs of `R` outputs at all positions to the sums; how many outputs they are.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(
        &self,
        simd: S,
        output: usize,
        stage: Stage<'_>,
        sums: &mut [f32],
    ) -> usize {
        let Padded {
            values,
            channel,
            taps,
            ..
        } = self.padded;
        let (sums, totals) = sums.split_at_mut(sums.len() / 2);
        let own = (output - self.outputs.start) * POSITIONS;
        let own = own..own + R * POSITIONS;
        let sums = [&mut sums[own.clone()], &mut totals[own]].map(|sums| sums.as_mut_ptr());
        assert!(self.weight.taps.len() == taps.len());
        self.weight.check(output + R, self.sizes.input);
        let last = (self.sizes.input - 1) * channel + taps.iter().max().map_or(0, |tap| *tap);
        let count = self.positions.len();
        let mut at = 0;
        while at < count {
            // The last vector may end behind the last position.
            let vectors = (count - at).div_ceil(S::F32_LANES).min(VECTORS);
            let width = S::F32_LANES * vectors;
            let start = self.positions.start + at;
            assert!(start + last + width <= values.len() && at + width <= POSITIONS);
            // SAFETY: the last input's furthest tap lies inside (asserted), as do the rows of the weight and of the
            // sums.
            #[allow(unsafe_code)]
            unsafe {
                let x = values.as_ptr().add(start);
                let sums = [sums[0].add(at), sums[1].add(at)];
                match vectors {
                    VECTORS => self.tile::<S, R, VECTORS>(simd, output, stage, x, sums),
                    2 => self.tile::<S, R, 2>(simd, output, stage, x, sums),
                    _ => self.tile::<S, R, 1>(simd, output, stage, x, sums),
                }
            }
            at += width;
        }
        R
    }

    /// One tile of sums.
    ///
    /// # Safety
    /// Values at all taps of all inputs, the weight of `R` outputs from `output` on, and `R` rows of sums and of totals may be
    /// read, the last written.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        output: usize,
        stage: Stage<'_>,
        x: *const f32,
        [sums, all]: [*mut f32; 2],
    ) {
        let Stage {
            runs,
            first,
            last,
            fresh,
        } = stage;
        let taps = self.padded.taps.as_slice();
        let weight = self.weight;
        let zeros = [[simd.splat_f32s(0.0); V]; R];
        let mut totals = zeros;
        if !first {
            for (row, totals) in totals.iter_mut().enumerate() {
                for (v, total) in totals.iter_mut().enumerate() {
                    // SAFETY: the caller's.
                    *total = unsafe {
                        sums.add(row * POSITIONS)
                            .cast::<S::f32s>()
                            .add(v)
                            .read_unaligned()
                    };
                }
            }
        }
        for (inputs, part) in runs {
            let mut run = zeros;
            for input in inputs.clone() {
                // SAFETY: the caller's.
                unsafe {
                    let x = x.add(input * self.padded.channel);
                    let kernel = weight.values.as_ptr();
                    let kernel = kernel.add(output * weight.output + input * weight.input);
                    let taps = taps.get_unchecked(part.clone());
                    let places = weight.taps.get_unchecked(part.clone());
                    for (tap, place) in taps.iter().zip(places) {
                        let factors = kernel.add(*place);
                        let x = x.add(*tap).cast::<S::f32s>();
                        let mut vectors = [simd.splat_f32s(0.0); V];
                        for (v, vector) in vectors.iter_mut().enumerate() {
                            *vector = x.add(v).read_unaligned();
                        }
                        for (row, run) in run.iter_mut().enumerate() {
                            let factor = simd.splat_f32s(*factors.add(row * weight.output));
                            for (sum, vector) in run.iter_mut().zip(vectors) {
                                *sum = simd.mul_add_e_f32s(factor, vector, *sum);
                            }
                        }
                    }
                }
            }
            for (totals, run) in totals.iter_mut().zip(run) {
                for (total, sum) in totals.iter_mut().zip(run) {
                    *total = simd.add_f32s(*total, sum);
                }
            }
        }
        for (row, totals) in totals.iter().enumerate() {
            for (v, total) in totals.iter().enumerate() {
                // SAFETY: the caller's.
                unsafe {
                    let sums = sums.add(row * POSITIONS).cast::<S::f32s>().add(v);
                    let all = all.add(row * POSITIONS).cast::<S::f32s>().add(v);
                    match (last, fresh) {
                        (false, _) => sums.write_unaligned(*total),
                        (true, true) => all.write_unaligned(*total),
                        (true, false) => {
                            all.write_unaligned(simd.add_f32s(all.read_unaligned(), *total));
                        }
                    }
                }
            }
        }
    }
}
