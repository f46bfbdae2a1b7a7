//! A map laid out so that every tap of a kernel reads it at one distance from a position, whatever the position.

use std::borrow::Cow;

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
pub(super) struct Padded<'a> {
    pub(super) values: Cow<'a, [f32]>,
    /// From a channel to the next.
    pub(super) channel: usize,
    /// From an image to the next.
    pub(super) image: usize,
    /// From a row of positions to the next.
    pub(super) pitch: usize,
    /// Where each tap reads, seen from the position.
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

    /// From an image to the next in rows, and from a row to the next in positions.
    pub(super) fn steps(sizes: &Sizes) -> [usize; 2] {
        let (window, reach) = (&sizes.window, Self::reach(sizes));
        [0, 1].map(|axis| match window.stride {
            [1, 1] => (sizes.map[axis] + window.padding[axis]).max(sizes.positions[axis]),
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

    pub(super) fn new(sizes: &Sizes, x: &[f32]) -> Self {
        let window = &sizes.window;
        let [stride, padding, dilation] = [window.stride, window.padding, window.dilation];
        let ([rows, pitch], reach) = (Self::steps(sizes), Self::reach(sizes));
        let plane = sizes.images * rows * pitch + reach[0] * pitch + reach[1] + SLACK;
        // Places between two steps that taps have.
        let places =
            [0, 1].map(|axis| stride[axis].min(1 + (sizes.kernel[axis] - 1) * dilation[axis]));
        let channel = places[0] * places[1] * plane;
        let tap = |number: usize| {
            let [i, j] = [number / sizes.kernel[1], number % sizes.kernel[1]];
            let place = [i * dilation[0], j * dilation[1]];
            let [above, before] = [0, 1].map(|axis| place[axis] / stride[axis]);
            let [a, b] = [0, 1].map(|axis| place[axis] % stride[axis]);
            (a * places[1] + b) * plane + above * pitch + before
        };
        let values = made(
            sizes.input * channel,
            plane,
            #[inline(always)]
            |i, out| {
                let (input, part) = (i / (places[0] * places[1]), i % (places[0] * places[1]));
                let [a, b] = [part / places[1], part % places[1]];
                for image in 0..sizes.images {
                    let source = (image * sizes.input + input) * sizes.map[0];
                    for row in 0..rows {
                        let Some(above) = (a + row * stride[0]).checked_sub(padding[0]) else {
                            continue;
                        };
                        if above >= sizes.map[0] {
                            break;
                        }
                        let line = &x[(source + above) * sizes.map[1]..][..sizes.map[1]];
                        let out = &mut out[(image * rows + row) * pitch..][..pitch];
                        // The first place of the row that lies on the map, and the map's column under it.
                        let first = padding[1].saturating_sub(b).div_ceil(stride[1]);
                        let column = b + first * stride[1] - padding[1];
                        let out = &mut out[first.min(pitch)..];
                        let seen = line.get(column..).unwrap_or_default();
                        match stride[1] {
                            1 => {
                                let count = out.len().min(seen.len());
                                out[..count].copy_from_slice(&seen[..count]);
                            }
                            step => {
                                for (out, value) in out.iter_mut().zip(seen.iter().step_by(step)) {
                                    *out = *value;
                                }
                            }
                        }
                    }
                }
            },
        );
        Self {
            values: Cow::Owned(values),
            channel,
            image: rows * pitch,
            pitch,
            taps: (0..sizes.taps()).map(tap).collect(),
        }
    }
}
