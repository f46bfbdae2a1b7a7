//! The input of a model.

use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::pairing::Pairing;
use crate::visual_masks::VisualMasks;

/// A batch as a model reads it.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Images; the backbone runs once for each.
    pub images: &'a PaddedImages,
    /// Texts of the joint pass.
    pub text: &'a TextBatch,
    /// The image of each text.
    pub pairing: &'a Pairing,
    /// The visual code that is masked for each text.
    pub visual_masks: Option<&'a VisualMasks>,
    /// Texts of the text-only pass, one per image.
    pub image_texts: Option<&'a TextBatch>,
}

impl<'a> Inputs<'a> {
    /// Images and texts, with nothing masked and no text-only pass.
    pub fn new(images: &'a PaddedImages, text: &'a TextBatch, pairing: &'a Pairing) -> Self {
        Self {
            images,
            text,
            pairing,
            visual_masks: None,
            image_texts: None,
        }
    }
}
