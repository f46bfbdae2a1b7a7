//! The element-wise operations after a convolution, applied while a task has the values in its cache.

use std::ops::Range;

use super::DisjointOutput;
use crate::cpu::norm_relu::relu_if;
use crate::cpu::simd::simd_dispatch;

/// Scale, shift, shortcut and ReLU, with the same bits as [`affine`](crate::affine()).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// One per channel.
    pub(crate) scale: &'a [f32],
    /// One per channel.
    pub(crate) shift: &'a [f32],
    /// One per output value.
    pub(crate) shortcut: Option<&'a [f32]>,
    pub(crate) relu: bool,
}

impl Epilogue<'_> {
    /// Applies it to neighboring values of a plane of `channel`, the first of which is value `start` of the output.
    #[inline(always)]
    pub(crate) fn apply(&self, channel: usize, start: usize, values: &mut [f32]) {
        let (scale, shift) = (self.scale[channel], self.shift[channel]);
        let activation = relu_if(self.relu);
        match self.shortcut {
            None => {
                for value in values {
                    *value = activation(*value * scale + shift);
                }
            }
            Some(shortcut) => {
                let shortcut = &shortcut[start..start + values.len()];
                for (value, shortcut) in values.iter_mut().zip(shortcut) {
                    *value = activation(*value * scale + shift + shortcut);
                }
            }
        }
    }

    /// Applies it to a block of the output: `count` values of each of these channels from value `start` on, one row per
    /// channel, `stride` values apart.
    ///
    /// # Safety
    /// The requirements of [`DisjointOutput::slice`] must hold for every row of the block.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn apply_block(
        &self,
        output: &DisjointOutput,
        start: usize,
        channels: Range<usize>,
        [count, stride]: [usize; 2],
    ) {
        simd_dispatch(
            #[inline(always)]
            || {
                for (channel, start) in channels.zip((start..).step_by(stride)) {
                    // SAFETY: the row is part of the block, for which the caller guarantees this.
                    self.apply(channel, start, unsafe { output.slice(start, count) });
                }
            },
        );
    }
}
