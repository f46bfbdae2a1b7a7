//! Batches of images of different sizes: zero padding at right and bottom, with a mask.

use burn::prelude::*;
use burn::tensor::TensorData;

use crate::error::VisionError;

/// Images padded to a common size.
#[derive(Debug, Clone)]
pub struct PaddedImages {
    /// Normalised pixels `[batch, 3, height, width]`, zero where padded.
    pub pixels: Tensor<4>,
    /// `[batch, height, width]`, true = padding.
    pub pad_mask: Tensor<3, Bool>,
}

/// One image as the loader gives it.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    /// Channel-major values, `3 * height * width` of them.
    pub pixels: &'a [f32],
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl PaddedImages {
    /// Pads to the largest height and width of the batch, rounded up to `multiple`.
    pub fn pack(
        images: &[ImageView<'_>],
        multiple: usize,
        device: &Device,
    ) -> Result<Self, VisionError> {
        let round = |value: usize| value.div_ceil(multiple.max(1)) * multiple.max(1);
        let height = round(
            images
                .iter()
                .map(|i| i.height)
                .max()
                .ok_or(VisionError::EmptyBatch)?,
        );
        let width = round(
            images
                .iter()
                .map(|i| i.width)
                .max()
                .ok_or(VisionError::EmptyBatch)?,
        );
        let mut pixels = vec![0.0f32; images.len() * 3 * height * width];
        let mut mask = vec![true; images.len() * height * width];
        for (index, image) in images.iter().enumerate() {
            let (h, w) = (image.height, image.width);
            if image.pixels.len() != 3 * h * w || h == 0 || w == 0 {
                return Err(VisionError::Image {
                    index,
                    height: h,
                    width: w,
                    found: image.pixels.len(),
                    hint: "give channel-major pixels of a picture of at least 1 x 1",
                });
            }
            for row in 0..h {
                let at = (index * height + row) * width;
                mask[at..at + w].fill(false);
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
            pad_mask: Tensor::from_data(TensorData::new(mask, [n, height, width]), device),
        })
    }
}

/// A padding mask `[batch, H, W]` at feature resolution `[batch, h, w]`, nearest neighbour.
///
/// Source rows are `floor(row * H / h)` in f32, as `torch.nn.functional.interpolate` has it.
pub fn resize_mask(pad_mask: Tensor<3, Bool>, [h, w]: [usize; 2]) -> Tensor<3, Bool> {
    let [_, height, width] = pad_mask.dims();
    let device = pad_mask.device();
    let index = |out: usize, input: usize| {
        let scale = input as f32 / out as f32;
        let at: Vec<i32> = (0..out)
            .map(|i| ((i as f32 * scale) as usize).min(input - 1) as i32)
            .collect();
        Tensor::<1, Int>::from_ints(at.as_slice(), &device)
    };
    let mask = pad_mask
        .int()
        .select(1, index(h, height))
        .select(2, index(w, width));
    mask.greater_elem(0)
}
