//! Writes sums by position to the output, whose rows have no padding.

use std::ops::Range;

use super::shape::ConvShape;
use crate::cpu::gemm::DisjointOutput;
use crate::cpu::gemm::epilogue::Epilogue;

/// The output `[images, out, positions]` of a convolution whose input has a [`PaddedLayout`](super::padded::PaddedLayout).
pub(super) struct OutputRows<'a> {
    shape: &'a ConvShape,
    /// Padded positions from an image to the next, and from a row to the next.
    image_stride: usize,
    row_stride: usize,
    epilogue: Option<&'a Epilogue<'a>>,
    output: &'a DisjointOutput,
}

impl<'a> OutputRows<'a> {
    pub(super) fn new(
        shape: &'a ConvShape,
        [image_stride, row_stride]: [usize; 2],
        epilogue: Option<&'a Epilogue<'a>>,
        output: &'a DisjointOutput,
    ) -> Self {
        Self {
            shape,
            image_stride,
            row_stride,
            epilogue,
            output,
        }
    }

    /// Writes sums `[channels, positions]`, whose rows are `stride` values apart, of these padded positions. Those in the
    /// padding are left out. Applies the epilogue.
    ///
    /// # Safety
    /// No other task may access the output at these channels and positions during the call.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn write(
        &self,
        channels: Range<usize>,
        Range { start, end }: Range<usize>,
        sums: &[f32],
        stride: usize,
    ) {
        let row_stride = self.row_stride;
        let rows = self.image_stride / row_stride;
        let [height, width] = self.shape.output_size;
        for (channel, sums) in channels.zip(sums.chunks_exact(stride)) {
            for line in start / row_stride..end.div_ceil(row_stride) {
                let (image, row) = (line / rows, line % rows);
                let first = (line * row_stride).clamp(start, end);
                let last = (line * row_stride + width).clamp(start, end);
                if row >= height || first == last {
                    continue;
                }
                let plane = image * self.shape.out_channels + channel;
                let offset = (plane * height + row) * width + first - line * row_stride;
                // SAFETY: the slice is part of an output row of length `width`; the caller guarantees the rest.
                let out = unsafe { self.output.uninit_slice(offset, last - first) };
                out.write_copy_of_slice(&sums[first - start..last - start]);
                if let Some(epilogue) = self.epilogue {
                    // SAFETY: the values have been written above.
                    epilogue.apply(channel, offset, unsafe { out.assume_init_mut() });
                }
            }
        }
    }
}
