//! Sums by position to where they belong.

use std::ops::Range;

use super::sizes::Sizes;
use crate::finish::Finish;
use crate::matrix::Sheet;

/// Where the sums of a convolution whose map has a [`Layout`](super::padded::Layout) go, and what is done with them.
pub(super) struct Rows<'a> {
    sizes: &'a Sizes,
    /// Positions from an image to the next, and from a row to the next.
    image: usize,
    pitch: usize,
    finish: Option<&'a Finish<'a>>,
    sheet: &'a Sheet,
}

impl<'a> Rows<'a> {
    /// `sheet` is `[images, out, positions]`.
    pub(super) fn new(
        sizes: &'a Sizes,
        [image, pitch]: [usize; 2],
        finish: Option<&'a Finish<'a>>,
        sheet: &'a Sheet,
    ) -> Self {
        Self {
            sizes,
            image,
            pitch,
            finish,
            sheet,
        }
    }

    /// Writes sums `[outputs, positions]` with rows of `stride`, without what lies between rows and between images.
    ///
    /// # Safety
    /// As [`Sheet::product`], of these outputs and positions.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn write(
        &self,
        outputs: Range<usize>,
        Range { start, end }: Range<usize>,
        sums: &[f32],
        stride: usize,
    ) {
        let pitch = self.pitch;
        let rows = self.image / pitch;
        let [height, width] = self.sizes.positions;
        for (output, sums) in outputs.zip(sums.chunks_exact(stride)) {
            for line in start / pitch..end.div_ceil(pitch) {
                let (image, row) = (line / rows, line % rows);
                let first = (line * pitch).clamp(start, end);
                let last = (line * pitch + width).clamp(start, end);
                if row >= height || first == last {
                    continue;
                }
                let plane = (image * self.sizes.output + output) * height + row;
                let at = plane * width + first - line * pitch;
                // SAFETY: part of a row of the caller's.
                let out = unsafe { self.sheet.row(at, last - first) };
                out.write_copy_of_slice(&sums[first - start..last - start]);
                if let Some(finish) = self.finish {
                    // SAFETY: written above.
                    finish.run(output, at, unsafe { out.assume_init_mut() });
                }
            }
        }
    }
}
