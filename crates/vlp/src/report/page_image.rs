//! Images as pages show them.

use vlp_data::{DataError, Image, ResizeRule, ResizedImage};

/// Maximum width and height of an image of a page in pixels. A page has all of its images in memory.
const SIDE: usize = 1024;

/// The image as a page shows it.
///
/// # Errors
/// [`DataError`] for an image whose pixels do not have its size.
pub(crate) fn page_image(image: &Image) -> Result<ResizedImage, DataError> {
    ResizedImage::new(image, &ResizeRule::Within { side: SIDE })
}
