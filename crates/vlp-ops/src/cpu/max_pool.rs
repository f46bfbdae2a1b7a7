//! Maximum pooling of planes, rows first; its gradient finds the maxima again instead of storing their indices.

use std::ops::Range;

use super::tensor::alloc_blocks;
use crate::Conv2dGeometry;

/// Sizes of one pooling, `[rows, columns]` each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolShape {
    input: [usize; 2],
    kernel: [usize; 2],
    output: [usize; 2],
    geometry: Conv2dGeometry,
}

/// Whether a value replaces the maximum so far: NaN is greater than everything.
#[inline(always)]
fn replaces(new: f32, old: f32) -> bool {
    (new > old) | new.is_nan()
}

impl PoolShape {
    pub(crate) fn new(input: [usize; 2], kernel: [usize; 2], geometry: Conv2dGeometry) -> Self {
        Self {
            input,
            kernel,
            output: geometry.output_size(input, kernel),
            geometry,
        }
    }

    pub(crate) fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Maxima of `planes` input planes.
    pub(crate) fn forward(&self, x: &[f32], planes: usize) -> Vec<f32> {
        let (input, output) = (area(self.input), area(self.output));
        alloc_blocks(
            planes * output,
            output,
            #[inline(always)]
            |plane, out| {
                let width = self.input[1] + 2 * self.geometry.padding[1];
                let mut column_max = vec![f32::NEG_INFINITY; width];
                self.plane(&x[plane * input..][..input], &mut column_max, out);
            },
        )
    }

    /// Gradient of the input.
    pub(crate) fn backward(&self, x: &[f32], grad_output: &[f32]) -> Vec<f32> {
        let (input, output) = (area(self.input), area(self.output));
        alloc_blocks(
            x.len(),
            input,
            #[inline(always)]
            |plane, out| {
                let x = &x[plane * input..][..input];
                self.plane_backward(x, &grad_output[plane * output..][..output], out);
            },
        )
    }

    /// The rows or columns of the input under a position of the kernel.
    #[inline(always)]
    fn covered(&self, axis: usize, position: usize) -> Range<usize> {
        let start = position * self.geometry.stride[axis];
        let (padding, size) = (self.geometry.padding[axis], self.input[axis]);
        start.saturating_sub(padding)..(start + self.kernel[axis] - padding).min(size)
    }

    #[inline(always)]
    fn plane(&self, x: &[f32], column_max: &mut [f32], out: &mut [f32]) {
        let width = self.input[1];
        let padding = self.geometry.padding[1];
        for (row, out) in out.chunks_exact_mut(self.output[1]).enumerate() {
            // The maximum of each column; the padding at both ends stays -inf.
            let columns = &mut column_max[padding..padding + width];
            columns.fill(f32::NEG_INFINITY);
            for i in self.covered(0, row) {
                for (max, x) in columns.iter_mut().zip(&x[i * width..(i + 1) * width]) {
                    *max = if replaces(*x, *max) { *x } else { *max };
                }
            }
            let stride = self.geometry.stride[1];
            out.fill(f32::NEG_INFINITY);
            for tap in 0..self.kernel[1] {
                for (max, x) in out.iter_mut().zip(column_max[tap..].iter().step_by(stride)) {
                    *max = if replaces(*x, *max) { *x } else { *max };
                }
            }
        }
    }

    #[inline(always)]
    fn plane_backward(&self, x: &[f32], grad_output: &[f32], out: &mut [f32]) {
        let [rows, columns] = self.output;
        for row in 0..rows {
            for column in 0..columns {
                let (mut max, mut index) = (f32::NEG_INFINITY, None);
                for i in self.covered(0, row) {
                    for j in self.covered(1, column) {
                        let candidate = i * self.input[1] + j;
                        if index.is_none() || replaces(x[candidate], max) {
                            (max, index) = (x[candidate], Some(candidate));
                        }
                    }
                }
                if let Some(index) = index {
                    out[index] += grad_output[row * columns + column];
                }
            }
        }
    }
}

fn area([rows, columns]: [usize; 2]) -> usize {
    rows * columns
}
