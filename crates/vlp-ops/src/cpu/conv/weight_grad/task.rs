//! Sums over positions, in vectors of neighboring outputs.
//!
//! A tile is some taps times some vectors of outputs, all in registers. For each position, the vectors of the output's
//! gradient, which is laid out for it, are multiplied by one value of the input ([`PaddedInput`]) per tap.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::cpu::conv::padded::PaddedInput;
use crate::cpu::conv::shape::ConvShape;

/// Outputs that are neighbors in memory.
pub(in crate::cpu::conv) const PANEL: usize = 16;
/// Positions of a tile: with a few panels they stay in the L1 cache for all taps of a task.
const TILE_POSITIONS: usize = 96;
/// Maximum number of taps of a tile.
const TILE_TAPS: usize = 6;

/// All taps of some inputs at some rows of positions.
pub(in crate::cpu::conv) struct Task<'a> {
    pub(in crate::cpu::conv) shape: &'a ConvShape,
    pub(in crate::cpu::conv) input: &'a PaddedInput<'a>,
    /// Panels of the output's gradient (of the input, where both are exchanged).
    pub(in crate::cpu::conv) grad_panels: &'a [f32],
    /// Positions from a panel to the next.
    pub(in crate::cpu::conv) panel_stride: usize,
    pub(in crate::cpu::conv) inputs: Range<usize>,
    /// Rows of positions, counted through all images.
    pub(in crate::cpu::conv) rows: Range<usize>,
    /// `[taps of the inputs, panels * PANEL]`.
    pub(in crate::cpu::conv) sums: &'a mut [f32],
    /// Whether the content of `sums` is overwritten, instead of added to.
    pub(in crate::cpu::conv) overwrite: bool,
}

/// Neighboring positions of one row: offset in the [`PaddedInput`], and number.
type Segment = (usize, usize);

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [height, width] = self.shape.output_size;
        let tile_rows = (TILE_POSITIONS / width).max(1);
        let mut segments: Vec<Segment> = Vec::with_capacity(tile_rows);
        for first in self.rows.clone().step_by(tile_rows) {
            let rows = first..self.rows.end.min(first + tile_rows);
            for column in (0..width).step_by(TILE_POSITIONS) {
                let count = TILE_POSITIONS.min(width - column);
                segments.clear();
                for row in rows.clone() {
                    let (image, row) = (row / height, row % height);
                    let start = image * self.input.image_stride + row * self.input.row_stride;
                    segments.push((start + column, count));
                }
                self.add_positions(simd, &segments, first * width + column);
                self.overwrite = false;
            }
        }
    }
}

impl Task<'_> {
    /// Adds the positions of a tile, the first of which is position `first` of all images.
    #[inline(always)]
    fn add_positions<S: Simd>(&mut self, simd: S, segments: &[Segment], first: usize) {
        let panels = self.shape.out_channels.div_ceil(PANEL);
        let mut panel = 0;
        while panel < panels {
            // A panel is one vector, or several narrower ones.
            panel += match (S::F32_LANES, panels - panel) {
                (16, 4..) => self.add_panels::<S, 4>(simd, segments, first, panel),
                (16, 2..) => self.add_panels::<S, 2>(simd, segments, first, panel),
                (16, _) => self.add_panels::<S, 1>(simd, segments, first, panel),
                (8, _) => self.add_panels::<S, 2>(simd, segments, first, panel),
                (4, _) => self.add_panels::<S, 4>(simd, segments, first, panel),
                _ => self.add_panels::<S, 16>(simd, segments, first, panel),
            };
        }
    }

    /// Adds `V` vectors from a panel on; returns the number of panels.
    #[inline(always)]
    fn add_panels<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        segments: &[Segment],
        first: usize,
        panel: usize,
    ) -> usize {
        let count = self.inputs.len() * self.input.taps.len();
        let mut tap = 0;
        while tap < count {
            tap += match count - tap {
                TILE_TAPS.. => self.add_tile::<S, TILE_TAPS, V>(simd, segments, first, panel, tap),
                2.. => self.add_tile::<S, 2, V>(simd, segments, first, panel, tap),
                _ => self.add_tile::<S, 1, V>(simd, segments, first, panel, tap),
            };
        }
        V * S::F32_LANES / PANEL
    }

    /// Adds `R` taps of the task from `tap` on; returns `R`.
    #[inline(always)]
    fn add_tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        segments: &[Segment],
        first: usize,
        panel: usize,
        tap: usize,
    ) -> usize {
        let PaddedInput {
            values,
            channel_stride,
            taps,
            ..
        } = self.input;
        let stride = self.shape.out_channels.next_multiple_of(PANEL);
        let mut tap_offsets = [0; R];
        for (row, offset) in tap_offsets.iter_mut().enumerate() {
            let (input, tap) = ((tap + row) / taps.len(), (tap + row) % taps.len());
            *offset = (self.inputs.start + input) * channel_stride + taps[tap];
        }
        let mut grad_offsets = [0; V];
        for (v, offset) in grad_offsets.iter_mut().enumerate() {
            let panel = panel + v * S::F32_LANES / PANEL;
            *offset = (panel * self.panel_stride + first) * PANEL + v * S::F32_LANES % PANEL;
        }
        let count: usize = segments.iter().map(|(_, count)| count).sum();
        let last_position = segments.iter().map(|(start, count)| start + count).max();
        let last_tap = tap_offsets.iter().max().map_or(0, |offset| *offset);
        assert!(last_position.unwrap_or(0) + last_tap <= values.len());
        let grad_end = grad_offsets[V - 1] + (count - 1) * PANEL + S::F32_LANES;
        assert!(grad_end <= self.grad_panels.len());
        let sums = &mut self.sums[tap * stride + panel * PANEL..];
        assert!((R - 1) * stride + V * S::F32_LANES <= sums.len());
        let overwrite = self.overwrite;
        let mut totals = [[simd.splat_f32s(0.0); V]; R];
        // SAFETY: the last positions of all taps are in the input, the last position of all vectors in the gradient, and all
        // rows in the sums (asserted).
        #[allow(unsafe_code)]
        unsafe {
            let mut tap_rows = [values.as_ptr(); R];
            for (row, offset) in tap_rows.iter_mut().zip(tap_offsets) {
                *row = row.add(offset);
            }
            let mut grad_vectors = [self.grad_panels.as_ptr(); V];
            for (vector, offset) in grad_vectors.iter_mut().zip(grad_offsets) {
                *vector = vector.add(offset);
            }
            let mut grad_offset = 0;
            for (start, count) in segments {
                for i in *start..start + count {
                    let mut grads = [simd.splat_f32s(0.0); V];
                    for (grad, vector) in grads.iter_mut().zip(grad_vectors) {
                        *grad = vector.add(grad_offset).cast::<S::f32s>().read_unaligned();
                    }
                    for (totals, row) in totals.iter_mut().zip(tap_rows) {
                        let factor = simd.splat_f32s(*row.add(i));
                        for (total, grad) in totals.iter_mut().zip(grads) {
                            *total = simd.mul_add_e_f32s(factor, grad, *total);
                        }
                    }
                    grad_offset += PANEL;
                }
            }
            for (row, totals) in totals.iter().enumerate() {
                for (v, total) in totals.iter().enumerate() {
                    let sum = sums.as_mut_ptr().add(row * stride + v * S::F32_LANES);
                    let sum = sum.cast::<S::f32s>();
                    sum.write_unaligned(match overwrite {
                        true => *total,
                        false => simd.add_f32s(sum.read_unaligned(), *total),
                    });
                }
            }
        }
        R
    }
}
