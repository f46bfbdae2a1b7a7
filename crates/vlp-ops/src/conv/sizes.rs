//! Sizes of one convolution and what follows from them.

use std::borrow::Cow;

use super::columns::gather;
use crate::Window;
use crate::count::count;
use crate::flex::made;

/// Sizes of one convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) images: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    /// Of the map, `[rows, columns]`.
    pub(super) map: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) positions: [usize; 2],
    pub(super) window: Window,
}

/// Floats of the columns of one tile: 1 MiB, what a core's second cache holds.
const TILE: usize = 1 << 18;
/// Fewest positions of a tile: what pays for reading the weight.
const LEAST: usize = 192;

impl Sizes {
    pub(super) fn new(
        [images, input, rows, columns]: [usize; 4],
        [output, _, i, j]: [usize; 4],
        window: Window,
    ) -> Self {
        Self {
            images,
            input,
            output,
            map: [rows, columns],
            kernel: [i, j],
            positions: window.positions([rows, columns], [i, j]),
            window,
        }
    }

    pub(super) fn source(&self) -> [usize; 4] {
        [self.images, self.input, self.map[0], self.map[1]]
    }

    pub(super) fn weight(&self) -> [usize; 4] {
        [self.output, self.input, self.kernel[0], self.kernel[1]]
    }

    pub(super) fn result(&self) -> [usize; 4] {
        [
            self.images,
            self.output,
            self.positions[0],
            self.positions[1],
        ]
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Positions of one image.
    pub(super) fn area(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// Behind the last position of the last image, where images and rows are so far apart.
    pub(super) fn end(&self, [image, pitch]: [usize; 2]) -> usize {
        let [height, width] = self.positions;
        match self.images {
            0 => 0,
            images => (images - 1) * image + (height - 1) * pitch + width,
        }
    }

    /// Channel, row and column of a tap's number.
    pub(super) fn tap(&self, number: usize) -> (usize, usize, usize) {
        let (channel, rest) = (number / self.taps(), number % self.taps());
        (channel, rest / self.kernel[1], rest % self.kernel[1])
    }

    /// A product of matrices: every position sees one place of the map, as far as it reaches.
    pub(super) fn pointwise(&self) -> bool {
        let all = self.window.positions(self.map, self.kernel);
        self.taps() == 1 && self.window.padding == [0, 0] && self.positions == all
    }

    /// The places of the map that a [`Self::pointwise`] convolution sees.
    pub(super) fn seen<'a>(&self, x: &'a [f32]) -> Cow<'a, [f32]> {
        if self.window.stride == [1, 1] {
            return Cow::Borrowed(x);
        }
        let area = self.area();
        Cow::Owned(made(
            self.images * self.input * area,
            area,
            #[inline(always)]
            |i, out| {
                let (image, channel) = (i / self.input, i % self.input);
                gather(self, x, (channel, 0, 0), image * area, out);
            },
        ))
    }

    /// A [`Self::pointwise`] convolution of the places it sees.
    pub(super) fn plain(&self) -> Self {
        Self {
            map: self.positions,
            window: Window {
                stride: [1, 1],
                ..self.window
            },
            ..*self
        }
    }

    /// How positions are counted: units, and positions of each. A unit is an image, or all of them where the maps are
    /// small: a product for each would be too small to pay for reading the weight.
    pub(super) fn units(&self) -> [usize; 2] {
        match self.images > 1 && self.area() < LEAST {
            true => [1, self.images * self.area()],
            false => [self.images, self.area()],
        }
    }

    /// Few positions and few taps: burn's own forward pass is faster.
    pub(super) fn tiny(&self) -> bool {
        let depth = self.input * self.taps();
        let few = self.images * self.area() < 4 * Self::tile(depth);
        few && depth <= 576 && !self.pointwise()
    }

    /// Counts the operations of the sum over all taps, for those who compute it without counted products.
    pub(super) fn count(&self) {
        let depth = self.input * self.taps();
        count([self.output, depth, self.images * self.area()]);
    }

    /// Positions of a tile of columns of `depth` taps.
    pub(super) fn tile(depth: usize) -> usize {
        (TILE / depth).clamp(LEAST, 1024)
    }
}
