//! Which image each text is paired with.

use burn::prelude::*;
use burn::tensor::kind::Basic;
use vlp_ops::constant_ints;

/// The image of each row of the joint pass. A row is a text; an image may have several.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairing {
    images: usize,
    image_index: Vec<usize>,
}

impl Pairing {
    /// Text `i` is paired with image `image_index[i]`, which must be below `images`.
    pub fn new(images: usize, image_index: Vec<usize>) -> Self {
        Self {
            images,
            image_index,
        }
    }

    /// One text for each image, in the same order.
    pub fn one_to_one(images: usize) -> Self {
        Self::new(images, (0..images).collect())
    }

    /// Index of the image of each text.
    pub fn image_index(&self) -> &[usize] {
        &self.image_index
    }

    /// Number of texts: rows of the joint pass.
    pub fn texts(&self) -> usize {
        self.image_index.len()
    }

    /// Mean number of texts per image, rounded down, at least 1.
    pub fn texts_per_image(&self) -> usize {
        (self.texts() / self.images.max(1)).max(1)
    }

    /// The row of each text's image: `[images, ...]` to `[texts, ...]`.
    pub fn gather_per_text<const D: usize, K: Basic>(&self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        match self.is_one_to_one() {
            true => tensor,
            false => {
                let rows = self.rows(&tensor.device());
                tensor.select(0, rows)
            }
        }
    }

    /// As [`Self::gather_per_text`] for a mask.
    pub fn gather_mask_per_text(&self, mask: Tensor<2, Bool>) -> Tensor<2, Bool> {
        match self.is_one_to_one() {
            true => mask,
            false => {
                let rows = self.rows(&mask.device());
                mask.int().select(0, rows).greater_elem(0)
            }
        }
    }

    fn is_one_to_one(&self) -> bool {
        self.texts() == self.images && self.image_index.iter().enumerate().all(|(i, &j)| i == j)
    }

    /// Index of the image of each text, on the device.
    fn rows(&self, device: &Device) -> Tensor<1, Int> {
        let rows: Vec<i32> = self.image_index.iter().map(|&image| image as i32).collect();
        constant_ints(&rows, device)
    }
}
