//! The input's gradient at a stride above 1: one convolution at stride 1 for each residue of rows and columns modulo the
//! stride.
//!
//! Input rows and columns of one residue are reached by the same taps. For a 3x3 kernel at stride 2 the four residues are
//! reached by one, two, two and four taps.

use super::shape::ConvShape;
use crate::Conv2dGeometry;
use crate::cpu::tensor::alloc_blocks;

/// Input rows (or columns) of one residue.
#[derive(Debug, Clone)]
struct Phase {
    /// The last tap that reaches them.
    last_tap: usize,
    /// Number of taps that do, a stride apart.
    taps: usize,
    /// Padding before the first output row that reaches them.
    padding: usize,
    /// Number of rows.
    length: usize,
}

impl Phase {
    /// The rows from `first` on, a stride apart; `None` if no tap reaches them, or the padding would be negative.
    fn new(shape: &ConvShape, axis: usize, first: usize) -> Option<Self> {
        let geometry = &shape.geometry;
        let (stride, padding) = (geometry.stride[axis], geometry.padding[axis]);
        let first_tap = (first + padding) % stride;
        let taps = shape.kernel[axis].checked_sub(first_tap)?.div_ceil(stride);
        let last_tap = first_tap + taps.checked_sub(1)? * stride;
        Some(Self {
            last_tap,
            taps,
            padding: last_tap.checked_sub(first + padding)? / stride,
            length: shape.input_size[axis]
                .saturating_sub(first)
                .div_ceil(stride),
        })
    }
}

/// The convolutions that compute the gradient.
pub(super) struct Parts<'a> {
    shape: &'a ConvShape,
    /// Phases of rows, and of columns.
    phases: [Vec<Phase>; 2],
}

impl<'a> Parts<'a> {
    /// `None` if the gradient is not computed so: at stride 1, with dilation, for pointwise kernels, or in too many parts.
    pub(super) fn new(shape: &'a ConvShape) -> Option<Self> {
        /// Each part reads the output's gradient and the whole weight: many parts are no better than col2im.
        const MAX_PARTS: usize = 16;
        let Conv2dGeometry {
            stride, dilation, ..
        } = shape.geometry;
        if stride == [1, 1] || dilation != [1, 1] || shape.is_pointwise() {
            return None;
        }
        let phases = |axis: usize| -> Option<Vec<Phase>> {
            (0..stride[axis].min(shape.input_size[axis]))
                .map(|first| Phase::new(shape, axis, first))
                .collect()
        };
        let phases = [phases(0)?, phases(1)?];
        let count = phases[0].len() * phases[1].len();
        (count <= MAX_PARTS).then_some(Self { shape, phases })
    }

    /// Phases of rows and columns of each part.
    fn pairs(&self) -> impl Iterator<Item = [&Phase; 2]> {
        let [rows, columns] = &self.phases;
        rows.iter()
            .flat_map(move |row| columns.iter().map(move |column| [row, column]))
    }

    fn part_shape(&self, phases: [&Phase; 2]) -> ConvShape {
        ConvShape {
            in_channels: self.shape.out_channels,
            out_channels: self.shape.in_channels,
            input_size: self.shape.output_size,
            kernel: phases.map(|phase| phase.taps),
            output_size: phases.map(|phase| phase.length),
            geometry: Conv2dGeometry {
                stride: [1; 2],
                padding: phases.map(|phase| phase.padding),
                dilation: [1; 2],
            },
            ..*self.shape
        }
    }

    /// The shape of each part.
    pub(super) fn shapes(&self) -> impl Iterator<Item = ConvShape> {
        self.pairs().map(|phases| self.part_shape(phases))
    }

    /// The taps of the whole kernel that a part has, the last one first.
    fn taps(&self, phases: [&Phase; 2]) -> Vec<usize> {
        let axis_taps = |axis: usize| {
            let Phase { last_tap, taps, .. } = *phases[axis];
            (0..taps).map(move |i| last_tap - i * self.shape.geometry.stride[axis])
        };
        axis_taps(0)
            .flat_map(|i| axis_taps(1).map(move |j| i * self.shape.kernel[1] + j))
            .collect()
    }

    /// The gradient of the input; `convolve` runs a part, given its shape and taps.
    pub(super) fn input_grad(
        &self,
        convolve: impl Fn(&ConvShape, &[usize]) -> Vec<f32>,
    ) -> Vec<f32> {
        let parts: Vec<Vec<f32>> = self
            .pairs()
            .map(|phases| convolve(&self.part_shape(phases), &self.taps(phases)))
            .collect();
        let stride = self.shape.geometry.stride;
        let [rows, columns] = &self.phases;
        let [height, width] = self.shape.input_size;
        alloc_blocks(
            self.shape.images * self.shape.in_channels * height * width,
            height * width,
            #[inline(always)]
            |plane, out| {
                for (row, out) in out.chunks_exact_mut(width).enumerate() {
                    let (row_residue, part_row) = (row % stride[0], row / stride[0]);
                    for (column_residue, phase) in columns.iter().enumerate() {
                        let part = &parts[row_residue * columns.len() + column_residue];
                        let length = phase.length;
                        let start = (plane * rows[row_residue].length + part_row) * length;
                        let values = &part[start..start + length];
                        let out = out[column_residue..].iter_mut().step_by(stride[1]);
                        for (out, value) in out.zip(values) {
                            *out = *value;
                        }
                    }
                }
            },
        )
    }
}
