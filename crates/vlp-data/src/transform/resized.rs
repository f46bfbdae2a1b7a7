use crate::{DataError, Image, ResizeRule, rng, transform::resize};

/// An image as a model reads it, with the properties of the original that its predictions need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizedImage {
    /// The resized image.
    pub image: Image,
    /// Width of the original in pixels.
    pub original_width: usize,
    /// Height of the original in pixels.
    pub original_height: usize,
    /// The original's [`Image::key`].
    pub key: u64,
}

impl ResizedImage {
    /// Resizes as for validation; a rule with random sizes chooses the same one for every image.
    ///
    /// # Errors
    /// As [`resize`].
    pub fn new(image: &Image, rule: &ResizeRule) -> Result<Self, DataError> {
        let mut rng = rng(0, 0, 0, "resize");
        let (width, height) = rule.target_size(image.width, image.height, &mut rng);
        Ok(Self {
            image: resize(image, width, height)?,
            original_width: image.width,
            original_height: image.height,
            key: image.key(),
        })
    }

    /// Width and height of a batch of this image alone, padded to multiples of `multiple`.
    pub fn padded_size(&self, multiple: usize) -> (usize, usize) {
        let multiple = multiple.max(1);
        let pad = |side: usize| side.next_multiple_of(multiple);
        (pad(self.image.width), pad(self.image.height))
    }
}
