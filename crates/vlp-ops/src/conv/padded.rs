//! A map laid out so that every tap of a kernel reads it at one distance from a position, whatever the position.

use std::borrow::Cow;
use std::ops::Range;

use super::sizes::Sizes;
use crate::Window;
use crate::flex::made;

/// Values behind the last position that may be read: the widest tile of [`super::direct`].
pub(super) const SLACK: usize = 48;

/// A channel's rows of all images one after the other, with zeros between them; where the window takes steps, a plane for
/// each place that a tap can have between two of them.
///
/// Positions are counted along the rows, those between rows and between images, which are of no use, with the others. At
/// stride 1 the zeros behind a row are those before the next one.
pub(super) struct Layout<'a> {
    sizes: &'a Sizes,
    /// Places between two steps that taps have, of each axis.
    places: [usize; 2],
    /// Values of a plane, whose first ones are positions; places lie one after the other.
    plane: usize,
    /// From an image to the next.
    pub(super) image: usize,
    /// From a row of positions to the next.
    pub(super) pitch: usize,
    /// Where each tap reads, seen from the position.
    pub(super) taps: Vec<usize>,
}

/// Neighbours in a row of the map, and where they go.
pub(super) struct Run {
    pub(super) image: usize,
    /// Row and first column of the map.
    pub(super) row: usize,
    pub(super) column: usize,
    /// Columns from one of them to the next.
    pub(super) step: usize,
    /// Of the plane.
    pub(super) place: Range<usize>,
}

impl<'a> Layout<'a> {
    /// From an image to the next in rows, and from a row to the next in positions.
    pub(super) fn steps(sizes: &Sizes) -> [usize; 2] {
        let (window, reach) = (&sizes.window, Self::reach(sizes));
        [0, 1].map(|axis| match window.stride {
            [1, 1] => {
                let padding = window.padding[axis];
                let last = (sizes.positions[axis] + reach[axis]).saturating_sub(padding);
                last.max(sizes.map[axis] + padding)
                    .max(sizes.positions[axis])
            }
            _ => sizes.positions[axis] + reach[axis],
        })
    }

    /// Steps of the window that the last tap lies behind the first one.
    fn reach(sizes: &Sizes) -> [usize; 2] {
        let Window {
            stride, dilation, ..
        } = sizes.window;
        [0, 1].map(|axis| (sizes.kernel[axis] - 1) * dilation[axis] / stride[axis])
    }

    /// With `slack` values behind the last position that may be read.
    pub(super) fn new(sizes: &'a Sizes, slack: usize) -> Self {
        let Window {
            stride, dilation, ..
        } = sizes.window;
        let ([rows, pitch], reach) = (Self::steps(sizes), Self::reach(sizes));
        let plane = sizes.images * rows * pitch + reach[0] * pitch + reach[1] + slack;
        let places =
            [0, 1].map(|axis| stride[axis].min(1 + (sizes.kernel[axis] - 1) * dilation[axis]));
        let tap = |number: usize| {
            let [i, j] = [number / sizes.kernel[1], number % sizes.kernel[1]];
            let place = [i * dilation[0], j * dilation[1]];
            let [above, before] = [0, 1].map(|axis| place[axis] / stride[axis]);
            let [a, b] = [0, 1].map(|axis| place[axis] % stride[axis]);
            (a * places[1] + b) * plane + above * pitch + before
        };
        Self {
            sizes,
            places,
            plane,
            image: rows * pitch,
            pitch,
            taps: (0..sizes.taps()).map(tap).collect(),
        }
    }

    /// Values of a channel.
    pub(super) fn channel(&self) -> usize {
        self.places[0] * self.places[1] * self.plane
    }

    /// `channels` channels that `f` makes of zeros: it is given a channel, a run of its row, and where that goes.
    pub(super) fn fill<T: Copy + Default + Send>(
        &self,
        channels: usize,
        f: impl Fn(usize, &Run, &mut [T]) + Sync,
    ) -> Vec<T> {
        let parts = self.places[0] * self.places[1];
        made(
            channels * self.channel(),
            self.plane,
            #[inline(always)]
            |i, out| {
                for image in 0..self.sizes.images {
                    self.runs(
                        image,
                        i % parts,
                        #[inline(always)]
                        |run| f(i / parts, &run, &mut out[run.place.clone()]),
                    );
                }
            },
        )
    }

    /// The rows of the map that lie in plane `part` of a channel.
    #[inline(always)]
    fn runs(&self, image: usize, part: usize, mut f: impl FnMut(Run)) {
        let Window {
            stride, padding, ..
        } = self.sizes.window;
        let [height, width] = self.sizes.map;
        let [a, b] = [part / self.places[1], part % self.places[1]];
        // The first place of a row that lies on the map, and the map's column under it.
        let first = padding[1].saturating_sub(b).div_ceil(stride[1]);
        let column = b + first * stride[1] - padding[1];
        let seen = width.saturating_sub(column).div_ceil(stride[1]);
        let count = seen.min(self.pitch.saturating_sub(first));
        if count == 0 {
            return;
        }
        for line in 0..self.image / self.pitch {
            let Some(row) = (a + line * stride[0]).checked_sub(padding[0]) else {
                continue;
            };
            if row >= height {
                break;
            }
            let start = image * self.image + line * self.pitch + first;
            f(Run {
                image,
                row,
                column,
                step: stride[1],
                place: start..start + count,
            });
        }
    }

    /// `f` on each place of `out` and the value that goes there, of a run in channel `channel` of `x`.
    #[inline(always)]
    pub(super) fn each<T>(
        &self,
        x: &[f32],
        channel: usize,
        run: &Run,
        out: &mut [T],
        f: impl Fn(&mut T, f32),
    ) {
        let line = self.line(x, channel, run);
        match run.step {
            // Slices alone are read as vectors.
            1 => {
                for (out, value) in out.iter_mut().zip(line) {
                    f(out, *value);
                }
            }
            step => {
                for (out, value) in out.iter_mut().zip(line.iter().step_by(step)) {
                    f(out, *value);
                }
            }
        }
    }

    /// The values of a run in channel `channel` of `x`, at distances of its step.
    #[inline(always)]
    fn line<'b>(&self, x: &'b [f32], channel: usize, run: &Run) -> &'b [f32] {
        let [height, width] = self.sizes.map;
        let row = (run.image * self.sizes.input + channel) * height + run.row;
        &x[row * width..][..width][run.column..]
    }
}

/// A map in its [`Layout`], in f32.
pub(super) struct Padded<'a> {
    pub(super) values: Cow<'a, [f32]>,
    /// From a channel to the next.
    pub(super) channel: usize,
    pub(super) image: usize,
    pub(super) pitch: usize,
    pub(super) taps: Vec<usize>,
}

impl<'a> Padded<'a> {
    /// A map of which every position sees one place, as it is.
    pub(super) fn plain(sizes: &Sizes, x: &'a [f32]) -> Self {
        Self {
            values: Cow::Borrowed(x),
            channel: sizes.area(),
            image: sizes.input * sizes.area(),
            pitch: sizes.positions[1],
            taps: vec![0],
        }
    }

    pub(super) fn new(sizes: &Sizes, x: &[f32]) -> Self {
        let layout = Layout::new(sizes, SLACK);
        let values = layout.fill(
            sizes.input,
            #[inline(always)]
            |channel, run, out| {
                layout.each(
                    x,
                    channel,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out = value,
                );
            },
        );
        Self {
            values: Cow::Owned(values),
            channel: layout.channel(),
            image: layout.image,
            pitch: layout.pitch,
            taps: layout.taps,
        }
    }
}
