//! Tensors `[images, channels, h, w]` in strips: a strip is a few adjacent channels of all images, processed by one task.

use std::ops::Range;

use burn::backend::TensorMetadata;
use rayon::prelude::*;

use super::simd::simd_dispatch;
use super::tensor::{Array, zeroed};

/// Sizes of a tensor and of its strips. They depend on the shape alone, so that sums do not depend on the number of threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NchwShape {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// Values of a plane: one channel of one image.
    pub(crate) area: usize,
    /// Channels of a strip.
    strip_channels: usize,
}

/// Some neighboring channels of all images.
pub(crate) struct Strip {
    shape: NchwShape,
    pub(crate) channels: Range<usize>,
}

/// A strip's values of a tensor, to be written: one slice per image; none for an empty tensor.
pub(crate) type ImageSlices<'a> = Vec<&'a mut [f32]>;

impl NchwShape {
    pub(crate) fn of(x: &Array) -> Self {
        /// Values of one image in a strip: whole pages, read one after the other, where planes are small.
        const MIN_LEN: usize = 1024;
        let [images, channels, rows, columns] = x.shape().dims();
        let area = rows * columns;
        Self {
            images,
            channels,
            area,
            strip_channels: (MIN_LEN / area).clamp(1, channels),
        }
    }

    /// Values of a channel in all images.
    pub(crate) fn values_per_channel(&self) -> usize {
        self.images * self.area
    }

    fn strips(&self) -> usize {
        self.channels.div_ceil(self.strip_channels)
    }

    /// The image slices of each strip.
    fn split<'a, T>(&self, values: &'a mut [T]) -> Vec<Vec<&'a mut [T]>> {
        let images = values.len() / (self.channels * self.area);
        let mut strips: Vec<Vec<&'a mut [T]>> = (0..self.strips())
            .map(|_| Vec::with_capacity(images))
            .collect();
        for image in values.chunks_exact_mut(self.channels * self.area) {
            let slices = image.chunks_mut(self.strip_channels * self.area);
            strips.iter_mut().zip(slices).for_each(|(s, p)| s.push(p));
        }
        strips
    }

    /// A new tensor that `f` fills strip by strip, from zeros, on all threads; and its results in the order of channels.
    pub(crate) fn alloc_strips<R: Send>(
        &self,
        f: impl Fn(Strip, ImageSlices<'_>) -> R + Sync,
    ) -> (Vec<f32>, Vec<R>) {
        let length = self.images * self.channels * self.area;
        let mut values = Vec::with_capacity(length);
        let results = self.for_strips(
            &mut values.spare_capacity_mut()[..length],
            &mut [],
            #[inline(always)]
            |strip, slices, _| f(strip, slices.into_iter().map(zeroed).collect()),
        );
        // SAFETY: the slices of all strips cover the first `length` values, all of which have been initialized.
        #[allow(unsafe_code)]
        unsafe {
            values.set_len(length);
        }
        (values, results)
    }

    /// `f` on every strip and its slices of two tensors, either of which may be empty, on all threads; the results in the
    /// order of channels.
    pub(crate) fn for_strips<T: Send, R: Send>(
        &self,
        first: &mut [T],
        second: &mut [f32],
        f: impl Fn(Strip, Vec<&mut [T]>, ImageSlices<'_>) -> R + Sync,
    ) -> Vec<R> {
        let slices = self.split(first).into_par_iter().zip(self.split(second));
        let run = |(i, (first, second)): (usize, (Vec<&mut [T]>, ImageSlices<'_>))| {
            let start = i * self.strip_channels;
            let channels = start..(start + self.strip_channels).min(self.channels);
            let shape = *self;
            simd_dispatch(
                #[inline(always)]
                || f(Strip { shape, channels }, first, second),
            )
        };
        slices.enumerate().map(run).collect()
    }
}

impl Strip {
    /// Values of a plane.
    pub(crate) fn area(&self) -> usize {
        self.shape.area
    }

    /// Range of a plane in the tensor; `channel` is counted from the strip's first one.
    #[inline(always)]
    pub(crate) fn plane(&self, image: usize, channel: usize) -> Range<usize> {
        let NchwShape { channels, area, .. } = self.shape;
        let start = (image * channels + self.channels.start + channel) * area;
        start..start + area
    }

    /// The sum of `f` over each channel's planes.
    #[inline(always)]
    pub(crate) fn channel_sums(&self, f: impl Fn(usize, Range<usize>) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.channels.len()];
        for image in 0..self.shape.images {
            for (channel, sum) in sums.iter_mut().enumerate() {
                *sum += f(channel, self.plane(image, channel));
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::tensor::from_vec;

    /// Planes so large that each channel is a strip, and so small that all channels are one.
    #[test]
    fn strips_are_all_of_a_tensor() {
        for (rows, strips) in [(27, 3), (2, 1)] {
            let dims = [2, 3, rows, 20];
            let length = dims.iter().product();
            let shape = NchwShape::of(&from_vec(vec![0.0; length], dims));
            let (values, counts) = shape.alloc_strips(|strip, images| {
                for (image, values) in images.into_iter().enumerate() {
                    let first = strip.plane(image, 0).start;
                    for (i, value) in values.iter_mut().enumerate() {
                        *value += (first + i) as f32;
                    }
                }
                strip.channels.len()
            });
            assert_eq!((counts.len(), counts.iter().sum::<usize>()), (strips, 3));
            assert!(
                values
                    .iter()
                    .enumerate()
                    .all(|(i, value)| *value == i as f32)
            );
        }
    }
}
