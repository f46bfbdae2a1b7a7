//! The weight as a convolution reads it, whichever way it lies in memory.

use super::sizes::Sizes;
use crate::flex::made;
use crate::matrix::Matrix;

/// Where the weight of an output, an input and a tap lies.
#[derive(Clone, Copy)]
pub(super) struct Weight<'a> {
    pub(super) values: &'a [f32],
    /// From an output to the next, and from an input to the next.
    pub(super) output: usize,
    pub(super) input: usize,
    /// Of each tap, seen from the first value of its kernel.
    pub(super) taps: &'a [usize],
}

impl<'a> Weight<'a> {
    /// `[out, in, rows, columns]`, its taps in order.
    pub(super) fn of(sizes: &Sizes, values: &'a [f32], taps: &'a [usize]) -> Self {
        Self {
            values,
            output: sizes.input * sizes.taps(),
            input: sizes.taps(),
            taps,
        }
    }

    /// Of the convolution by some taps that computes the input's gradient: outputs and inputs of `[out, in, rows, columns]`
    /// change places.
    pub(super) fn turned(sizes: &Sizes, values: &'a [f32], taps: &'a [usize]) -> Self {
        Self {
            values,
            output: sizes.taps(),
            input: sizes.input * sizes.taps(),
            taps,
        }
    }

    /// The kernel of an output and an input, and what lies behind it.
    #[inline(always)]
    pub(super) fn kernel(&self, output: usize, input: usize) -> &'a [f32] {
        &self.values[output * self.output + input * self.input..]
    }

    /// The weights of an output and a tap from an input on, and the distance from one to the next.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn inputs(&self, output: usize, input: usize, tap: usize) -> (&'a [f32], usize) {
        (&self.kernel(output, input)[self.taps[tap]..], self.input)
    }

    /// Stops where the weight is too small: by a mistake in this crate.
    pub(super) fn check(&self, outputs: usize, inputs: usize) {
        let tap = self.taps.iter().max().map_or(0, |tap| *tap);
        let last = (outputs - 1) * self.output + (inputs - 1) * self.input + tap;
        assert!(last < self.values.len());
    }

    /// Of one tap: `[out, in]`.
    pub(super) fn matrix(&self) -> Matrix<'a> {
        Matrix {
            values: &self.values[self.taps[0]..],
            row_stride: self.output,
            column_stride: self.input,
        }
    }

    /// `[out, in, taps]`, one after the other.
    pub(super) fn laid_out(&self, outputs: usize, inputs: usize) -> Vec<f32> {
        /// Outputs of a task: where they change places with inputs they lie side by side.
        const SIDE: usize = 16;
        let taps = self.taps.len();
        let row = inputs * taps;
        made(
            outputs * row,
            SIDE * row,
            #[inline(always)]
            |i, out| {
                for input in 0..inputs {
                    for (output, out) in out.chunks_exact_mut(row).enumerate() {
                        let kernel = self.kernel(i * SIDE + output, input);
                        let out = &mut out[input * taps..][..taps];
                        for (out, tap) in out.iter_mut().zip(self.taps) {
                            *out = kernel[*tap];
                        }
                    }
                }
            },
        )
    }
}
