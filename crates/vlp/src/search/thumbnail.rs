//! Small JPEG files of images.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use vlp_data::{DataError, Image, ResizeRule, ResizedImage};

/// Artifacts of JPEG are hardly seen from here on.
const QUALITY: u8 = 85;

/// The image with sides of at most `side` pixels as a JPEG file.
///
/// # Errors
/// [`DataError`] for an image whose pixels do not have its size.
pub(super) fn thumbnail(image: &Image, side: usize) -> Result<Vec<u8>, DataError> {
    let small = ResizedImage::new(image, &ResizeRule::Within { side })?.image;
    let (width, height) = (small.width as u32, small.height as u32);
    let mut file = vec![];
    let encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
    let encoded = encoder.write_image(&small.rgb, width, height, ExtendedColorType::Rgb8);
    match encoded {
        Ok(()) => Ok(file),
        Err(error) => Err(DataError::Decode {
            name: "thumbnail".into(),
            reason: error.to_string(),
        }),
    }
}
