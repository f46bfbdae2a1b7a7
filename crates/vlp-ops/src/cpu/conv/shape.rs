//! Sizes of one convolution and what follows from them.

use crate::Conv2dGeometry;
use crate::flops::count_matmul;

/// Sizes of one convolution. A position is a row and a column of the output; a tap is a row and a column of the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvShape {
    pub(super) images: usize,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    /// `[rows, columns]`.
    pub(super) input_size: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) output_size: [usize; 2],
    pub(super) geometry: Conv2dGeometry,
}

/// Floats of the im2col matrix of a tile: 1 MiB, which fits an L2 cache.
const TILE_LEN: usize = 1 << 18;
/// Minimum number of positions of a tile: enough to be worth reading the weight.
const MIN_TILE: usize = 192;

impl ConvShape {
    /// For an input `[images, channels, rows, columns]` and a weight `[out, in, kernel rows, kernel columns]`.
    pub(crate) fn new(
        [images, in_channels, rows, columns]: [usize; 4],
        [out_channels, _, kernel_rows, kernel_columns]: [usize; 4],
        geometry: Conv2dGeometry,
    ) -> Self {
        let (input_size, kernel) = ([rows, columns], [kernel_rows, kernel_columns]);
        Self {
            images,
            in_channels,
            out_channels,
            input_size,
            kernel,
            output_size: geometry.output_size(input_size, kernel),
            geometry,
        }
    }

    pub(super) fn input_dims(&self) -> [usize; 4] {
        let [rows, columns] = self.input_size;
        [self.images, self.in_channels, rows, columns]
    }

    pub(super) fn weight_dims(&self) -> [usize; 4] {
        let [rows, columns] = self.kernel;
        [self.out_channels, self.in_channels, rows, columns]
    }

    pub(super) fn output_dims(&self) -> [usize; 4] {
        let [rows, columns] = self.output_size;
        [self.images, self.out_channels, rows, columns]
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Terms of an output value.
    pub(super) fn depth(&self) -> usize {
        self.in_channels * self.taps()
    }

    pub(super) fn input_area(&self) -> usize {
        self.input_size[0] * self.input_size[1]
    }

    /// Positions of one image.
    pub(super) fn output_area(&self) -> usize {
        self.output_size[0] * self.output_size[1]
    }

    /// One after the last position of the last image, where images and rows start at these distances.
    pub(super) fn end(&self, [image_stride, row_stride]: [usize; 2]) -> usize {
        let [height, width] = self.output_size;
        match self.images {
            0 => 0,
            images => (images - 1) * image_stride + (height - 1) * row_stride + width,
        }
    }

    /// Channel, row and column of a row of the im2col matrix.
    pub(super) fn tap(&self, index: usize) -> (usize, usize, usize) {
        let (channel, tap) = (index / self.taps(), index % self.taps());
        (channel, tap / self.kernel[1], tap % self.kernel[1])
    }

    /// Whether the kernel is 1x1 without padding, so that the convolution is a matrix multiplication.
    pub(super) fn is_pointwise(&self) -> bool {
        let full = self.geometry.output_size(self.input_size, self.kernel);
        self.taps() == 1 && self.geometry.padding == [0, 0] && self.output_size == full
    }

    /// How positions are counted: number of units, and positions of each. A unit is an image, or all images where they are
    /// small: a multiplication per image would be too small to be worth reading the weight.
    pub(super) fn units(&self) -> [usize; 2] {
        match self.images > 1 && self.output_area() < MIN_TILE {
            true => [1, self.images * self.output_area()],
            false => [self.images, self.output_area()],
        }
    }

    /// Whether a unit is an image.
    pub(super) fn units_are_images(&self) -> bool {
        self.units()[0] == self.images
    }

    /// Counts the operations of the sum over all taps, for algorithms that do not count their multiplications.
    pub(super) fn count_flops(&self) {
        count_matmul([
            self.out_channels,
            self.depth(),
            self.images * self.output_area(),
        ]);
    }

    /// Positions of a tile of an im2col matrix with `depth` rows.
    pub(super) fn tile(depth: usize) -> usize {
        (TILE_LEN / depth).clamp(MIN_TILE, 1024)
    }

    /// The convolution that computes the input's gradient from the output's at stride 1, with the kernel rotated by 180
    /// degrees; `None` at other strides, or where it would need negative padding.
    pub(super) fn transposed(&self) -> Option<Self> {
        let geometry = self.geometry;
        if geometry.stride != [1, 1] {
            return None;
        }
        let reach = [0, 1].map(|axis| geometry.dilation[axis] * (self.kernel[axis] - 1));
        let padding = [
            reach[0].checked_sub(geometry.padding[0])?,
            reach[1].checked_sub(geometry.padding[1])?,
        ];
        Some(Self {
            in_channels: self.out_channels,
            out_channels: self.in_channels,
            input_size: self.output_size,
            output_size: self.input_size,
            geometry: Conv2dGeometry {
                padding,
                ..geometry
            },
            ..*self
        })
    }
}
