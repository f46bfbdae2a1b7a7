//! Stride, padding and dilation.

/// How the kernel of a convolution or a pooling moves over its input: `[rows, columns]` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dGeometry {
    /// Distance between two neighboring positions of the kernel, at least 1.
    pub stride: [usize; 2],
    /// Rows or columns added on both sides of the input: zeros for a convolution, ignored by a pooling.
    pub padding: [usize; 2],
    /// Distance between two neighboring taps (offsets inside the kernel), at least 1.
    pub dilation: [usize; 2],
}

impl Conv2dGeometry {
    /// Output size `[rows, columns]` for an input and a kernel of these sizes; 0 along an axis where the kernel does not fit.
    pub fn output_size(&self, input: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let taps = kernel[axis].max(1) - 1;
            let extent = self.dilation[axis].saturating_mul(taps).saturating_add(1);
            let padded = input[axis].saturating_add(self.padding[axis].saturating_mul(2));
            let steps = padded
                .checked_sub(extent)
                .and_then(|rest| rest.checked_div(self.stride[axis]));
            steps.map_or(0, |steps| steps.saturating_add(1))
        })
    }
}
