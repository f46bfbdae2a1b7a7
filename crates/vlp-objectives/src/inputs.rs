//! The input of a model.

use serde::{Deserialize, Serialize};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::pairing::Pairing;

/// A batch as a model reads it.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Images; the backbone runs once for each.
    pub images: &'a PaddedImages,
    /// Texts of the joint pass.
    pub text: &'a TextBatch,
    /// The image of each text.
    pub pairing: &'a Pairing,
    /// The visual code that is masked for each text; empty for none.
    pub visual_masks: &'a [Option<VisualMask>],
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
            visual_masks: &[],
            image_texts: None,
        }
    }
}

/// How to sample the visual token whose code is masked wherever it occurs (SOHO's masked visual modeling).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskSampling {
    /// From the tokens of the image that are not padding.
    #[default]
    Sample,
    /// From all tokens of the padded grid, at one position for the whole batch, as in the released code. In images
    /// where that position is padding, nothing is masked.
    Batch,
}

/// A visual token that is sampled before the size of the grid is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisualMask {
    /// Position as a fraction of the number of tokens, in `0..1`.
    pub position: f64,
    /// Whether anything is masked for this text.
    pub active: bool,
    /// Which tokens `position` is relative to.
    pub sampling: MaskSampling,
}
