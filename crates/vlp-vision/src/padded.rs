//! Batches of images of different sizes: zero padding at the right and bottom, with a mask.

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::constant_ints;

use crate::error::VisionError;

/// Images padded to a common size.
#[derive(Debug, Clone)]
pub struct PaddedImages {
    /// Normalized pixels `[batch, 3, height, width]`, zero where padded.
    pub pixels: Tensor<4>,
    /// `[batch, height, width]`, true = padding.
    pub pad_mask: Tensor<3, Bool>,
}

/// A borrowed image.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    /// `3 * height * width` normalized values, channel-major.
    pub pixels: &'a [f32],
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl PaddedImages {
    /// Pads images to the largest height and width of the batch, rounded up to `multiple`.
    ///
    /// # Errors
    /// [`VisionError::EmptyBatch`] without images, [`VisionError::Image`] for an image with another number of values
    /// than its size needs.
    pub fn collate(
        images: &[ImageView<'_>],
        multiple: usize,
        device: &Device,
    ) -> Result<Self, VisionError> {
        let padded_size = |sizes: &mut dyn Iterator<Item = usize>| {
            let largest = sizes.max().ok_or(VisionError::EmptyBatch)?;
            Ok(largest.next_multiple_of(multiple.max(1)))
        };
        let height = padded_size(&mut images.iter().map(|image| image.height))?;
        let width = padded_size(&mut images.iter().map(|image| image.width))?;
        let mut pixels = vec![0.0f32; images.len() * 3 * height * width];
        let mut pad_mask = vec![true; images.len() * height * width];
        for (index, image) in images.iter().enumerate() {
            let (h, w) = (image.height, image.width);
            if image.pixels.len() != 3 * h * w || h == 0 || w == 0 {
                return Err(VisionError::Image {
                    index,
                    height: h,
                    width: w,
                    values: image.pixels.len(),
                    hint: "pass channel-major pixels of an image of at least 1 x 1",
                });
            }
            for row in 0..h {
                let start = (index * height + row) * width;
                pad_mask[start..start + w].fill(false);
                for channel in 0..3 {
                    let from = (channel * h + row) * w;
                    let to = ((index * 3 + channel) * height + row) * width;
                    pixels[to..to + w].copy_from_slice(&image.pixels[from..from + w]);
                }
            }
        }
        let n = images.len();
        Ok(Self {
            pixels: Tensor::from_data(TensorData::new(pixels, [n, 3, height, width]), device),
            pad_mask: Tensor::from_data(TensorData::new(pad_mask, [n, height, width]), device),
        })
    }
}

/// Resizes a padding mask to the size `[h, w]` of a feature map, nearest neighbor. Source rows are `floor(row * H / h)` in
/// f32, as in `torch.nn.functional.interpolate`.
///
/// # Shapes
/// - `pad_mask`: `[batch, H, W]`
/// - output: `[batch, h, w]`
pub fn resize_mask(pad_mask: Tensor<3, Bool>, [h, w]: [usize; 2]) -> Tensor<3, Bool> {
    let [_, height, width] = pad_mask.dims();
    let device = pad_mask.device();
    let source = |output: usize, input: usize| {
        let scale = input as f32 / output as f32;
        let indices: Vec<i32> = (0..output)
            .map(|i| ((i as f32 * scale) as usize).min(input - 1) as i32)
            .collect();
        constant_ints(&indices, &device)
    };
    let mask = pad_mask
        .int()
        .select(1, source(h, height))
        .select(2, source(w, width));
    mask.greater_elem(0)
}
