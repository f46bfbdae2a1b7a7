//! Maps `[images, channels, h, w]` as norms go through them: some neighbouring channels of all images a task.

use std::ops::Range;

use burn::backend::TensorMetadata;
use rayon::prelude::*;

use crate::flex::{Array, wide, zeroed};

/// Sizes of a map and how it is cut: by them alone, so that sums do not depend on the number of threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maps {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// Values of a plane: one channel of one image.
    pub(crate) area: usize,
    /// Channels of a strip.
    width: usize,
}

/// Some neighbouring channels of all images.
pub(crate) struct Strip {
    maps: Maps,
    pub(crate) channels: Range<usize>,
}

/// A strip's part of values to be written: one piece an image, or nothing.
pub(crate) type Pieces<'a> = Vec<&'a mut [f32]>;

impl Maps {
    pub(crate) fn of(x: &Array) -> Self {
        /// Values of one image in a strip: whole pages, read one after the other, where planes are small.
        const RUN: usize = 1024;
        let [images, channels, rows, columns] = x.shape().dims();
        let area = rows * columns;
        Self {
            images,
            channels,
            area,
            width: (RUN / area).clamp(1, channels),
        }
    }

    /// Values of a channel.
    pub(crate) fn count(&self) -> usize {
        self.images * self.area
    }

    fn strips(&self) -> usize {
        self.channels.div_ceil(self.width)
    }

    /// Each strip's pieces of a map, none of an empty one.
    fn cut<'a, T>(&self, map: &'a mut [T]) -> Vec<Vec<&'a mut [T]>> {
        let images = map.len() / (self.channels * self.area);
        let mut strips: Vec<Vec<&'a mut [T]>> = (0..self.strips())
            .map(|_| Vec::with_capacity(images))
            .collect();
        for image in map.chunks_exact_mut(self.channels * self.area) {
            let pieces = image.chunks_mut(self.width * self.area);
            strips.iter_mut().zip(pieces).for_each(|(s, p)| s.push(p));
        }
        strips
    }

    /// A map that `f` makes of zeros, strip by strip on all threads; its results in the order of channels.
    pub(crate) fn made<R: Send>(
        &self,
        f: impl Fn(Strip, Pieces<'_>) -> R + Sync,
    ) -> (Vec<f32>, Vec<R>) {
        let length = self.images * self.channels * self.area;
        let mut map = Vec::with_capacity(length);
        let results = self.each(
            &mut map.spare_capacity_mut()[..length],
            &mut [],
            #[inline(always)]
            |strip, pieces, _| f(strip, pieces.into_iter().map(zeroed).collect()),
        );
        // SAFETY: all pieces, which are all of the map, are zeroed at least.
        #[allow(unsafe_code)]
        unsafe {
            map.set_len(length);
        }
        (map, results)
    }

    /// `f` on every strip and its pieces of two maps, either of which may be empty, on all threads; the results in the
    /// order of channels.
    pub(crate) fn each<T: Send, R: Send>(
        &self,
        first: &mut [T],
        second: &mut [f32],
        f: impl Fn(Strip, Vec<&mut [T]>, Pieces<'_>) -> R + Sync,
    ) -> Vec<R> {
        let pieces = self.cut(first).into_par_iter().zip(self.cut(second));
        let run = |(i, (first, second)): (usize, (Vec<&mut [T]>, Pieces<'_>))| {
            let start = i * self.width;
            let channels = start..(start + self.width).min(self.channels);
            let maps = *self;
            wide(
                #[inline(always)]
                || f(Strip { maps, channels }, first, second),
            )
        };
        pieces.enumerate().map(run).collect()
    }
}

impl Strip {
    /// Values of a plane.
    pub(crate) fn area(&self) -> usize {
        self.maps.area
    }

    /// Where a plane of the strip lies, its channel counted from the strip's first.
    #[inline(always)]
    pub(crate) fn plane(&self, image: usize, channel: usize) -> Range<usize> {
        let Maps { channels, area, .. } = self.maps;
        let at = (image * channels + self.channels.start + channel) * area;
        at..at + area
    }

    /// Each channel's sum of `f` of every plane.
    #[inline(always)]
    pub(crate) fn sums(&self, f: impl Fn(usize, Range<usize>) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.channels.len()];
        for image in 0..self.maps.images {
            for (channel, sum) in sums.iter_mut().enumerate() {
                *sum += f(channel, self.plane(image, channel));
            }
        }
        sums
    }
}
