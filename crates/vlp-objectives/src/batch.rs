//! A batch on the device, with its targets on the CPU.

use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::inputs::{Inputs, VisualMask};
use crate::pairing::Pairing;
use crate::targets::Targets;

/// Examples on the device, with their targets.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// Padded images.
    pub images: PaddedImages,
    /// Texts of the joint pass, after every objective has prepared them.
    pub text: TextBatch,
    /// Ids of those texts, unpadded.
    pub ids: Vec<Vec<u32>>,
    /// The image of each text.
    pub pairing: Pairing,
    /// The visual code that is masked for each text.
    pub visual_masks: Vec<Option<VisualMask>>,
    /// The unmodified first text of each image, if an objective reads the text-only pass.
    pub image_texts: Option<TextBatch>,
    /// Targets of every prepared text.
    pub targets: Vec<T>,
    /// Index into `targets` of each row of the joint pass.
    pub target_index: Vec<usize>,
    /// Number of images and of texts, if all images are paired with all texts: image `i` with text `j` is row
    /// `i * all_pairs + j`.
    pub all_pairs: Option<usize>,
    /// Padding token.
    pub pad: u32,
}

impl<T> Batch<T> {
    /// The input of a model.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            images: &self.images,
            text: &self.text,
            pairing: &self.pairing,
            visual_masks: &self.visual_masks,
            image_texts: self.image_texts.as_ref(),
        }
    }

    /// The targets with their rows.
    pub fn targets(&self) -> Targets<'_, T> {
        Targets::new(&self.targets, &self.target_index)
    }

    /// The given rows of the joint pass, in the given order, with borrowed targets.
    pub(crate) fn select(&self, rows: &[usize]) -> Batch<&T> {
        let ids: Vec<Vec<u32>> = rows.iter().map(|&row| self.ids[row].clone()).collect();
        let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let image_index = rows.iter().map(|&row| self.pairing.image_index()[row]);
        Batch {
            text: TextBatch::collate(&texts, self.pad, &self.text.ids.device()),
            images: self.images.clone(),
            pairing: Pairing::new(self.images.pixels.dims()[0], image_index.collect()),
            visual_masks: rows.iter().map(|&row| self.visual_masks[row]).collect(),
            image_texts: self.image_texts.clone(),
            targets: self.targets.iter().collect(),
            target_index: rows.iter().map(|&row| self.target_index[row]).collect(),
            all_pairs: None,
            pad: self.pad,
            ids,
        }
    }
}
