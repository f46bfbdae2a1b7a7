//! Sums over positions of vectors of neighbouring outputs.
//!
//! A tile is some taps times some vectors of outputs, all in registers; a position reads the vectors of the output's
//! gradient, which is laid out for it, and multiplies each with one value of the map ([`Padded`]) a tap.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::conv::padded::Padded;
use crate::conv::sizes::Sizes;

/// Outputs that lie side by side.
pub(in crate::conv) const PANEL: usize = 16;
/// Positions of a tile: with a few panels they stay in the first cache for all taps of a task.
const POSITIONS: usize = 96;
/// Taps of a tile, at most.
const MOST_ROWS: usize = 6;

/// All taps of some inputs at some rows of positions.
pub(in crate::conv) struct Task<'a> {
    pub(in crate::conv) sizes: &'a Sizes,
    pub(in crate::conv) padded: &'a Padded<'a>,
    /// Panels of the output's gradient, or of the map for one tap, and positions from one to the next.
    pub(in crate::conv) slopes: &'a [f32],
    pub(in crate::conv) panel: usize,
    pub(in crate::conv) inputs: Range<usize>,
    /// Rows of positions, counted through all images.
    pub(in crate::conv) lines: Range<usize>,
    /// `[taps of the inputs, panels * PANEL]`.
    pub(in crate::conv) sums: &'a mut [f32],
    /// Nothing was written into the sums so far.
    pub(in crate::conv) fresh: bool,
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
