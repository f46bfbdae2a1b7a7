//! The weight's gradient by sums over positions, without columns: vectors of neighbouring outputs.
//!
//! A tile is some taps times some vectors of outputs, all in registers; a position reads the vectors of the output's
//! gradient, which is laid out for it, and multiplies each with one value of the map ([`Padded`]) a tap.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::collect;
use super::padded::Padded;
use super::sizes::Sizes;
use crate::flex::{made, scratch};
use crate::matrix::{Matrix, Sheet};
use crate::square;

/// Outputs that lie side by side.
pub(super) const PANEL: usize = 16;
/// Positions of a tile: with a few panels they stay in the first cache for all taps of a task.
const POSITIONS: usize = 96;
/// Taps of a task, of whole inputs, and of a tile at most.
const TAPS: usize = 144;
const MOST_ROWS: usize = 6;
/// Tasks aimed at, to share among cores, and fewest positions that are shared.
const TASKS: usize = 8;
const LEAST: usize = 512;

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
///
/// Tasks are blocks of inputs times groups of rows of positions, both fixed by the sizes; groups are summed in order.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    sizes.count();
    if !sizes.pointwise() {
        return sums(sizes, grad, &Padded::new(sizes, x));
    }
    pointwise(&sizes.plain(), grad, &sizes.seen(x))
}

/// As [`to_weight`], of a kernel of one tap: a product whose rows are outputs, and its vectors inputs.
fn pointwise(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    // Inputs and outputs change places.
    let (rows, columns) = (sizes.output, sizes.input);
    let turned = Sizes {
        input: rows,
        output: columns,
        ..*sizes
    };
    let padded = Padded::plain(&turned, grad);
    let panels = slopes(&turned, x);
    let positions = sizes.images * sizes.area();
    let most = (positions / LEAST).clamp(1, TASKS);
    let size = TAPS.min(rows.div_ceil(TASKS / most));
    let blocks = rows.div_ceil(size);
    let lines = sizes.images * sizes.positions[0];
    let share = lines.div_ceil(TASKS.div_ceil(blocks).min(most));
    let groups = lines.div_ceil(share);
    let stride = columns.next_multiple_of(PANEL);
    let arch = Arch::new();
    let sum = |block: usize, group: usize, sums: &mut [f32]| {
        arch.dispatch(Task {
            sizes: &turned,
            padded: &padded,
            slopes: &panels,
            panel: positions,
            inputs: block * size..rows.min((block + 1) * size),
            lines: group * share..lines.min((group + 1) * share),
            sums,
            fresh: true,
        });
    };
    let length = rows * columns;
    if groups == 1 && stride == columns {
        return made(
            length,
            size * columns,
            #[inline(always)]
            |block, out| sum(block, 0, out),
        );
    }
    let part = |task: usize| {
        let (block, group) = (task / groups, task % groups);
        let mut sums = vec![0.0; size.min(rows - block * size) * stride];
        sum(block, group, &mut sums);
        sums
    };
    let parts: Vec<Vec<f32>> = (0..blocks * groups).into_par_iter().map(part).collect();
    made(
        length,
        size * columns,
        #[inline(always)]
        |block, out| {
            for part in &parts[block * groups..][..groups] {
                let rows = part.chunks_exact(stride);
                for (out, part) in out.chunks_exact_mut(columns).zip(rows) {
                    for (out, value) in out.iter_mut().zip(part) {
                        *out += value;
                    }
                }
            }
        },
    )
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

/// All taps of some inputs at some rows of positions.
pub(super) struct Task<'a> {
    pub(super) sizes: &'a Sizes,
    pub(super) padded: &'a Padded<'a>,
    /// Panels of the output's gradient, and positions from one to the next.
    pub(super) slopes: &'a [f32],
    pub(super) panel: usize,
    pub(super) inputs: Range<usize>,
    /// Rows of positions, counted through all images.
    pub(super) lines: Range<usize>,
    /// `[taps of the inputs, panels * PANEL]`.
    pub(super) sums: &'a mut [f32],
    /// Nothing was written into the sums so far.
    pub(super) fresh: bool,
}

/// Neighbouring positions of one row: where they lie in [`Padded`], and how many.
type Segment = (usize, usize);

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [height, width] = self.sizes.positions;
        let whole = (POSITIONS / width).max(1);
        let mut segments: Vec<Segment> = Vec::with_capacity(whole);
        for first in self.lines.clone().step_by(whole) {
            let lines = first..self.lines.end.min(first + whole);
            for column in (0..width).step_by(POSITIONS) {
                let count = POSITIONS.min(width - column);
                segments.clear();
                for line in lines.clone() {
                    let (image, row) = (line / height, line % height);
                    let at = image * self.padded.image + row * self.padded.pitch;
                    segments.push((at + column, count));
                }
                self.panels(simd, &segments, first * width + column);
                self.fresh = false;
            }
        }
    }
}

impl Task<'_> {
    /// Adds a tile's positions, the first of which is position `first` of all images.
    #[inline(always)]
    fn panels<S: Simd>(&mut self, simd: S, segments: &[Segment], first: usize) {
        let panels = self.sizes.output.div_ceil(PANEL);
        let mut panel = 0;
        while panel < panels {
            // A panel is a vector, or some narrower ones.
            panel += match (S::F32_LANES, panels - panel) {
                (16, 4..) => self.taps::<S, 4>(simd, segments, first, panel),
                (16, 2..) => self.taps::<S, 2>(simd, segments, first, panel),
                (16, _) => self.taps::<S, 1>(simd, segments, first, panel),
                (8, _) => self.taps::<S, 2>(simd, segments, first, panel),
                (4, _) => self.taps::<S, 4>(simd, segments, first, panel),
                _ => self.taps::<S, 16>(simd, segments, first, panel),
            };
        }
    }

    /// As [`Self::panels`], of `V` vectors from a panel on; how many panels they are.
    #[inline(always)]
    fn taps<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        segments: &[Segment],
        first: usize,
        panel: usize,
    ) -> usize {
        let count = self.inputs.len() * self.padded.taps.len();
        let mut tap = 0;
        while tap < count {
            tap += match count - tap {
                MOST_ROWS.. => self.tile::<S, MOST_ROWS, V>(simd, segments, first, panel, tap),
                2.. => self.tile::<S, 2, V>(simd, segments, first, panel, tap),
                _ => self.tile::<S, 1, V>(simd, segments, first, panel, tap),
            };
        }
        V * S::F32_LANES / PANEL
    }

    /// As [`Self::taps`], of `R` taps of the task's from `tap` on; how many they are.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        segments: &[Segment],
        first: usize,
        panel: usize,
        tap: usize,
    ) -> usize {
        let Padded {
            values,
            channel,
            taps,
            ..
        } = self.padded;
        let stride = self.sizes.output.next_multiple_of(PANEL);
        let mut places = [0; R];
        for (row, place) in places.iter_mut().enumerate() {
            let (input, tap) = ((tap + row) / taps.len(), (tap + row) % taps.len());
            *place = (self.inputs.start + input) * channel + taps[tap];
        }
        let mut starts = [0; V];
        for (v, start) in starts.iter_mut().enumerate() {
            let (panel, at) = (panel + v * S::F32_LANES / PANEL, v * S::F32_LANES % PANEL);
            *start = (panel * self.panel + first) * PANEL + at;
        }
        let count: usize = segments.iter().map(|(_, count)| count).sum();
        let furthest = segments.iter().map(|(at, count)| at + count).max();
        let last = furthest.unwrap_or(0) + places.iter().max().map_or(0, |place| *place);
        assert!(last <= values.len());
        assert!(starts[V - 1] + (count - 1) * PANEL + S::F32_LANES <= self.slopes.len());
        let sums = &mut self.sums[tap * stride + panel * PANEL..];
        assert!((R - 1) * stride + V * S::F32_LANES <= sums.len());
        let fresh = self.fresh;
        let mut totals = [[simd.splat_f32s(0.0); V]; R];
        // SAFETY: the furthest positions of all taps lie in the map, the last position of all vectors in the slopes, all
        // rows in the sums (asserted).
        #[allow(unsafe_code)]
        unsafe {
            let mut rows = [values.as_ptr(); R];
            for (row, place) in rows.iter_mut().zip(places) {
                *row = row.add(place);
            }
            let mut vectors = [self.slopes.as_ptr(); V];
            for (vector, start) in vectors.iter_mut().zip(starts) {
                *vector = vector.add(start);
            }
            let mut at = 0;
            for (place, count) in segments {
                for i in *place..place + count {
                    let mut slopes = [simd.splat_f32s(0.0); V];
                    for (slope, vector) in slopes.iter_mut().zip(vectors) {
                        *slope = vector.add(at).cast::<S::f32s>().read_unaligned();
                    }
                    for (totals, row) in totals.iter_mut().zip(rows) {
                        let factor = simd.splat_f32s(*row.add(i));
                        for (total, slope) in totals.iter_mut().zip(slopes) {
                            *total = simd.mul_add_e_f32s(factor, slope, *total);
                        }
                    }
                    at += PANEL;
                }
            }
            for (row, totals) in totals.iter().enumerate() {
                for (v, total) in totals.iter().enumerate() {
                    let sum = sums.as_mut_ptr().add(row * stride + v * S::F32_LANES);
                    let sum = sum.cast::<S::f32s>();
                    sum.write_unaligned(match fresh {
                        true => *total,
                        false => simd.add_f32s(sum.read_unaligned(), *total),
                    });
                }
            }
        }
        R
    }
}
