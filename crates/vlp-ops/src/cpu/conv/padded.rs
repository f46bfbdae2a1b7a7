//! A padded input in which every tap of a kernel is at a constant distance from the position, whatever the position.

use std::borrow::Cow;
use std::ops::Range;

use super::shape::ConvShape;
use crate::Conv2dGeometry;
use crate::cpu::tensor::alloc_blocks;

/// Values after the last position that may be read: the widest tile of [`super::direct`].
pub(super) const SLACK: usize = 48;

/// A channel's rows of all images one after the other, with zeros between them. At a stride above 1 there is a plane for
/// each residue of rows and columns modulo the stride.
///
/// Positions are counted along the padded rows, including those in the padding, whose results are discarded. At stride 1 the
/// zeros after a row are those before the next one.
pub(super) struct PaddedLayout<'a> {
    shape: &'a ConvShape,
    /// Residues of rows and of columns that taps have.
    residues: [usize; 2],
    /// Values of a plane.
    plane: usize,
    pub(super) image_stride: usize,
    pub(super) row_stride: usize,
    /// Offset of each tap from the position.
    pub(super) taps: Vec<usize>,
}

/// Neighboring values of an input row, and where they go.
pub(super) struct RowRun {
    image: usize,
    row: usize,
    first_column: usize,
    column_stride: usize,
    /// In the plane.
    target: Range<usize>,
}

impl<'a> PaddedLayout<'a> {
    /// Rows of a padded image and columns of a padded row, counted in positions.
    pub(super) fn padded_size(shape: &ConvShape) -> [usize; 2] {
        let (geometry, reach) = (&shape.geometry, Self::reach(shape));
        [0, 1].map(|axis| match geometry.stride {
            [1, 1] => {
                let padding = geometry.padding[axis];
                let last = (shape.output_size[axis] + reach[axis]).saturating_sub(padding);
                last.max(shape.input_size[axis] + padding)
                    .max(shape.output_size[axis])
            }
            _ => shape.output_size[axis] + reach[axis],
        })
    }

    /// Distance of the last tap from the first one, in positions.
    fn reach(shape: &ConvShape) -> [usize; 2] {
        let Conv2dGeometry {
            stride, dilation, ..
        } = shape.geometry;
        [0, 1].map(|axis| (shape.kernel[axis] - 1) * dilation[axis] / stride[axis])
    }

    /// With `slack` values after the last position that may be read.
    pub(super) fn new(shape: &'a ConvShape, slack: usize) -> Self {
        let Conv2dGeometry {
            stride, dilation, ..
        } = shape.geometry;
        let ([rows, row_stride], reach) = (Self::padded_size(shape), Self::reach(shape));
        let image_stride = rows * row_stride;
        let plane = shape.images * image_stride + reach[0] * row_stride + reach[1] + slack;
        let residues =
            [0, 1].map(|axis| stride[axis].min(1 + (shape.kernel[axis] - 1) * dilation[axis]));
        let tap = |index: usize| {
            let [i, j] = [index / shape.kernel[1], index % shape.kernel[1]];
            let offset = [i * dilation[0], j * dilation[1]];
            let [rows, columns] = [0, 1].map(|axis| offset[axis] / stride[axis]);
            let [row_residue, column_residue] = [0, 1].map(|axis| offset[axis] % stride[axis]);
            (row_residue * residues[1] + column_residue) * plane + rows * row_stride + columns
        };
        Self {
            shape,
            residues,
            plane,
            image_stride,
            row_stride,
            taps: (0..shape.taps()).map(tap).collect(),
        }
    }

    /// Values of a channel.
    pub(super) fn channel_stride(&self) -> usize {
        self.residues[0] * self.residues[1] * self.plane
    }

    /// Allocates `channels` channels of zeros; `f` gets a channel, a run of its rows, and the values to write it to.
    pub(super) fn fill<T: Copy + Default + Send>(
        &self,
        channels: usize,
        f: impl Fn(usize, &RowRun, &mut [T]) + Sync,
    ) -> Vec<T> {
        let planes = self.residues[0] * self.residues[1];
        alloc_blocks(
            channels * self.channel_stride(),
            self.plane,
            #[inline(always)]
            |i, out| {
                for image in 0..self.shape.images {
                    self.for_row_runs(
                        image,
                        i % planes,
                        #[inline(always)]
                        |run| f(i / planes, &run, &mut out[run.target.clone()]),
                    );
                }
            },
        )
    }

    /// The runs of an image in one plane of a channel.
    #[inline(always)]
    fn for_row_runs(&self, image: usize, plane: usize, mut f: impl FnMut(RowRun)) {
        let Conv2dGeometry {
            stride, padding, ..
        } = self.shape.geometry;
        let [height, width] = self.shape.input_size;
        let row_residue = plane / self.residues[1];
        let column_residue = plane % self.residues[1];
        // The first position of a padded row that is in the input, and its input column.
        let first = padding[1]
            .saturating_sub(column_residue)
            .div_ceil(stride[1]);
        let first_column = column_residue + first * stride[1] - padding[1];
        let columns = width.saturating_sub(first_column).div_ceil(stride[1]);
        let count = columns.min(self.row_stride.saturating_sub(first));
        if count == 0 {
            return;
        }
        for line in 0..self.image_stride / self.row_stride {
            let Some(row) = (row_residue + line * stride[0]).checked_sub(padding[0]) else {
                continue;
            };
            if row >= height {
                break;
            }
            let start = image * self.image_stride + line * self.row_stride + first;
            f(RowRun {
                image,
                row,
                first_column,
                column_stride: stride[1],
                target: start..start + count,
            });
        }
    }

    /// `f` on each target value and its input value, of a run in channel `channel` of `x`.
    #[inline(always)]
    pub(super) fn for_values<T>(
        &self,
        x: &[f32],
        channel: usize,
        run: &RowRun,
        out: &mut [T],
        f: impl Fn(&mut T, f32),
    ) {
        let values = self.run_values(x, channel, run);
        match run.column_stride {
            // Only plain slices vectorize.
            1 => {
                for (out, value) in out.iter_mut().zip(values) {
                    f(out, *value);
                }
            }
            stride => {
                for (out, value) in out.iter_mut().zip(values.iter().step_by(stride)) {
                    f(out, *value);
                }
            }
        }
    }

    /// The rest of the input row from the first value of a run on.
    #[inline(always)]
    fn run_values<'b>(&self, x: &'b [f32], channel: usize, run: &RowRun) -> &'b [f32] {
        let [height, width] = self.shape.input_size;
        let row = (run.image * self.shape.in_channels + channel) * height + run.row;
        &x[row * width..][..width][run.first_column..]
    }
}

/// An input in its [`PaddedLayout`], in f32.
pub(super) struct PaddedInput<'a> {
    pub(super) values: Cow<'a, [f32]>,
    pub(super) channel_stride: usize,
    pub(super) image_stride: usize,
    pub(super) row_stride: usize,
    pub(super) taps: Vec<usize>,
}

impl<'a> PaddedInput<'a> {
    /// The input of a pointwise convolution at stride 1, which needs no copy.
    pub(super) fn pointwise(shape: &ConvShape, x: &'a [f32]) -> Self {
        Self {
            values: Cow::Borrowed(x),
            channel_stride: shape.output_area(),
            image_stride: shape.in_channels * shape.output_area(),
            row_stride: shape.output_size[1],
            taps: vec![0],
        }
    }

    pub(super) fn new(shape: &ConvShape, x: &[f32]) -> Self {
        let layout = PaddedLayout::new(shape, SLACK);
        let values = layout.fill(
            shape.in_channels,
            #[inline(always)]
            |channel, run, out| {
                layout.for_values(
                    x,
                    channel,
                    run,
                    out,
                    #[inline(always)]
                    |out, value| *out = value,
                );
            },
        );
        Self {
            values: Cow::Owned(values),
            channel_stride: layout.channel_stride(),
            image_stride: layout.image_stride,
            row_stride: layout.row_stride,
            taps: layout.taps,
        }
    }
}
