//! What follows a convolution on each value, applied while a task has the value in its cache.

use std::ops::Range;

use crate::flex::wide;
use crate::matrix::Sheet;

/// Scale, shift, shortcut and ReLU, as [`affine`](crate::affine()) has them: the same values to the bit.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// One a channel.
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
    /// Of all outputs.
    pub(crate) shortcut: Option<&'a [f32]>,
    pub(crate) relu: bool,
}

/// ReLU, or the value as it is. NaN stays NaN, as in burn's.
#[inline(always)]
pub(crate) fn rectifier(relu: bool) -> impl Fn(f32) -> f32 {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    move |y| if y < floor { floor } else { y }
}

impl Finish<'_> {
    /// On `out`, a run of a plane of `channel`; its first value is value `at` of all outputs.
    #[inline(always)]
    pub(crate) fn run(&self, channel: usize, at: usize, out: &mut [f32]) {
        let (scale, shift) = (self.scale[channel], self.shift[channel]);
        let raise = rectifier(self.relu);
        match self.shortcut {
            None => {
                for out in out {
                    *out = raise(*out * scale + shift);
                }
            }
            Some(shortcut) => {
                let shortcut = &shortcut[at..at + out.len()];
                for (out, other) in out.iter_mut().zip(shortcut) {
                    *out = raise(*out * scale + shift + other);
                }
            }
        }
    }

    /// On a block of a sheet: these channels, `count` values of each from `at` on, at distances of `stride`.
    ///
    /// # Safety
    /// As [`Sheet::written`].
    #[allow(unsafe_code)]
    pub(crate) unsafe fn block(
        &self,
        sheet: &Sheet,
        at: usize,
        channels: Range<usize>,
        [count, stride]: [usize; 2],
    ) {
        wide(
            #[inline(always)]
            || {
                for (channel, at) in channels.zip((at..).step_by(stride)) {
                    // SAFETY: a row of the block.
                    self.run(channel, at, unsafe { sheet.written(at, count) });
                }
            },
        );
    }
}
