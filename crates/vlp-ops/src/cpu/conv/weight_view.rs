//! The weight as a convolution reads it, in either order of its inputs and outputs.

use super::shape::ConvShape;
use crate::cpu::matrix::Matrix;
use crate::cpu::tensor::alloc_blocks;

/// A weight with any order of outputs, inputs and taps.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightView<'a> {
    pub(super) values: &'a [f32],
    pub(super) output_stride: usize,
    pub(super) input_stride: usize,
    /// Offset of each tap of the convolution in a kernel.
    pub(super) taps: &'a [usize],
    /// Whether it is `[out, in, taps]` in memory.
    is_contiguous: bool,
}

impl<'a> WeightView<'a> {
    /// The weight `[out, in, rows, columns]` of a convolution; `taps` are all taps in order.
    pub(super) fn new(shape: &ConvShape, values: &'a [f32], taps: &'a [usize]) -> Self {
        Self {
            values,
            output_stride: shape.depth(),
            input_stride: shape.taps(),
            taps,
            is_contiguous: true,
        }
    }

    /// The weight of the convolution by `taps` that computes the gradient of the input of `shape`: its outputs and inputs
    /// are exchanged.
    pub(super) fn transposed(shape: &ConvShape, values: &'a [f32], taps: &'a [usize]) -> Self {
        Self {
            values,
            output_stride: shape.taps(),
            input_stride: shape.depth(),
            taps,
            is_contiguous: false,
        }
    }

    /// The kernel of an output and an input, and the values after it.
    #[inline(always)]
    pub(super) fn kernel(&self, output: usize, input: usize) -> &'a [f32] {
        &self.values[output * self.output_stride + input * self.input_stride..]
    }

    /// The weights of an output and a tap from an input on, and their distance.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn inputs(&self, output: usize, input: usize, tap: usize) -> (&'a [f32], usize) {
        (
            &self.kernel(output, input)[self.taps[tap]..],
            self.input_stride,
        )
    }

    /// # Panics
    /// If the weight is too small, which is a bug of this crate.
    pub(super) fn assert_contains(&self, outputs: usize, inputs: usize) {
        let tap = self.taps.iter().max().map_or(0, |tap| *tap);
        let last = (outputs - 1) * self.output_stride + (inputs - 1) * self.input_stride + tap;
        assert!(last < self.values.len());
    }

    /// The weights of the first tap, `[out, in]`.
    pub(super) fn one_tap(&self) -> Matrix<'a> {
        Matrix {
            values: &self.values[self.taps[0]..],
            row_stride: self.output_stride,
            column_stride: self.input_stride,
        }
    }

    /// The weight as a matrix `[out, in * taps]`, where its layout allows it.
    pub(super) fn as_matrix(&self) -> Option<Matrix<'a>> {
        if self.taps.len() == 1 {
            return Some(self.one_tap());
        }
        let matrix = Matrix::row_major(self.values, self.output_stride);
        self.is_contiguous.then_some(matrix)
    }

    /// A copy `[out, in, taps]` for a convolution of this shape.
    pub(super) fn contiguous_copy(&self, shape: &ConvShape) -> Vec<f32> {
        /// Outputs of a task: where outputs and inputs are exchanged, their kernels are neighbors in memory.
        const OUTPUTS: usize = 16;
        let taps = self.taps.len();
        let row = shape.in_channels * taps;
        alloc_blocks(
            shape.out_channels * row,
            OUTPUTS * row,
            #[inline(always)]
            |i, out| {
                for input in 0..shape.in_channels {
                    for (output, out) in out.chunks_exact_mut(row).enumerate() {
                        let kernel = self.kernel(i * OUTPUTS + output, input);
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
