//! Outputs at neighbouring positions: 32 of each are a block of sums.

use std::ops::Range;

use rayon::prelude::*;

use super::{Weight, pays, rounded};
use crate::bf16::x86::pack::{self, LANES, Line};
use crate::bf16::x86::{CHUNK, EDGE, Tiles};
use crate::bf16::{Place, Unit};
use crate::conv::padded::Layout;
use crate::conv::rows::Rows;
use crate::conv::sizes::Sizes;
use crate::finish::Finish;
use crate::flex::{made, scratch, wide};
use crate::matrix::Sheet;

/// Positions of a task, that share what is read of the weight.
const POSITIONS: usize = 8 * EDGE;
/// Tasks aimed at, to share among cores.
const TASKS: usize = 8;

/// `[images, out, positions]` from `x` and the weight, finished; `None` where another way has to be gone.
pub(in crate::conv) fn convolve(
    sizes: &Sizes,
    x: &[f32],
    weight: Weight<'_>,
    finish: Option<&Finish<'_>>,
) -> Option<Vec<f32>> {
    // What is a product already needs no other way.
    if sizes.pointwise() || !pays(sizes) {
        return None;
    }
    sizes.count();
    let layout = Layout::new(sizes, EDGE);
    let chunks = pack::chunks(sizes.input);
    let map = pairs(sizes, &layout, x, chunks);
    let weight = packed(sizes, weight, chunks);
    let (channel, taps) = (layout.channel(), layout.taps.as_slice());
    let chunk = |i: usize| taps.iter().map(move |tap| i * LANES * channel + tap);
    let places: Vec<usize> = (0..chunks).flat_map(chunk).collect();
    let length = sizes.end([layout.image, layout.pitch]);
    let blocks = length.div_ceil(POSITIONS);
    let panels = sizes.output.div_ceil(EDGE);
    let size = panels.div_ceil(TASKS.div_ceil(blocks));
    let groups = panels.div_ceil(size);
    let task = |task: usize, sheet: &Sheet| {
        let (at, panel) = (task / groups * POSITIONS, task % groups * size);
        let task = Task {
            map: &map,
            channel,
            weight: &weight,
            places: &places,
            positions: at..length.min(at + POSITIONS),
            rows: Rows::new(sizes, [layout.image, layout.pitch], finish, sheet),
        };
        // SAFETY: tasks write disjoint blocks, positions times panels; there are tiles, by `pays`.
        #[allow(unsafe_code)]
        unsafe {
            let tiles = Tiles::new();
            for panel in panel..panels.min(panel + size) {
                task.panel(&tiles, panel, sizes.output);
            }
        }
    };
    // SAFETY: all tasks together write every position of every output.
    #[allow(unsafe_code)]
    let out = unsafe {
        Sheet::fill(sizes.images * sizes.output * sizes.area(), |sheet| {
            (0..blocks * groups)
                .into_par_iter()
                .for_each(|number| task(number, sheet));
        })
    };
    Some(out)
}

/// Two channels a value, the first in its lower half, zeros behind the last one up to the end of its chunk.
fn pairs(sizes: &Sizes, layout: &Layout<'_>, x: &[f32], chunks: usize) -> Vec<u32> {
    layout.fill(
        chunks * LANES,
        #[inline(always)]
        |pair, run, out: &mut [u32]| {
            let first = 2 * pair;
            if first < sizes.input {
                layout.each(
                    x,
                    first,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out = rounded(value) >> 16,
                );
            }
            if first + 1 < sizes.input {
                layout.each(
                    x,
                    first + 1,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out |= rounded(value) & 0xffff_0000,
                );
            }
        },
    )
}

/// Panels of 32 outputs; in each, chunks of the inputs, and in these the taps.
fn packed(sizes: &Sizes, weight: Weight<'_>, chunks: usize) -> Vec<Line> {
    debug_assert_eq!(Unit::here(), Unit::Tiles);
    let taps = sizes.taps();
    let panel = chunks * taps * CHUNK;
    made(
        sizes.output.div_ceil(EDGE) * panel,
        taps * CHUNK,
        #[inline(always)]
        |i, out| {
            let (first, chunk) = (i / chunks * EDGE, i % chunks * 2 * LANES);
            let inputs = (sizes.input - chunk).min(2 * LANES);
            for row in 0..EDGE.min(sizes.output - first) {
                for (tap, out) in out.chunks_exact_mut(CHUNK).enumerate() {
                    let (values, stride) = weight.inputs(first + row, chunk, tap);
                    // SAFETY: products are made in bf16, by `pays`: the processor has the instructions.
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
    map: &'a [u32],
    /// From a pair of channels to the next.
    channel: usize,
    weight: &'a [Line],
    places: &'a [usize],
    positions: Range<usize>,
    rows: Rows<'a>,
}

impl Task<'_> {
    /// Computes and writes a panel of outputs.
    ///
    /// # Safety
    /// As [`Rows::write`], of the panel and the positions.
    #[allow(unsafe_code)]
    unsafe fn panel(&self, tiles: &Tiles, panel: usize, output: usize) {
        let size = self.places.len() * CHUNK;
        let weight = &self.weight[panel * size..][..size];
        let count = self.positions.len().div_ceil(EDGE) * EDGE;
        let last = self.places.iter().max().map_or(0, |last| *last);
        let end = self.positions.start + count + last + (LANES - 1) * self.channel;
        assert!(end <= self.map.len());
        scratch(EDGE * POSITIONS + LANES, |sums| {
            // Rows of tiles that lie in one line of the cache are written in one access.
            let first = sums.as_ptr().align_offset(size_of::<Line>()).min(LANES);
            let sums = &mut sums[first..][..EDGE * POSITIONS];
            for at in (0..count).step_by(EDGE) {
                let start = self.positions.start + at;
                let place = Place {
                    at: sums[at..].as_mut_ptr(),
                    stride: POSITIONS,
                };
                // SAFETY: the last chunk's furthest tap lies inside the map (asserted), rows of 32 sums in theirs.
                unsafe {
                    let map = (self.map.as_ptr().add(start), self.channel);
                    tiles.at_places(weight, map, self.places, place);
                }
            }
            let outputs = panel * EDGE..output.min((panel + 1) * EDGE);
            wide(
                #[inline(always)]
                || {
                    let positions = self.positions.clone();
                    // SAFETY: the caller's.
                    unsafe { self.rows.write(outputs, positions, sums, POSITIONS) }
                },
            );
        });
    }
}
