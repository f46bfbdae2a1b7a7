//! What enters a model: pictures, texts, and which of them go together.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

/// A batch as a model reads it. Rows of the joint pass are texts, each beside one picture.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Pictures; the trunk runs once for each.
    pub images: &'a PaddedImages,
    /// Texts.
    pub text: &'a TextBatch,
    /// Picture of each text; a picture may have several.
    pub image_of: &'a [usize],
    /// Which code to mask beside each text; empty for none.
    pub cells: &'a [Option<CellDraw>],
}

/// How the cell is drawn whose code is masked wherever it occurs (SOHO's masked visual modelling).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellRule {
    /// Among the cells of the picture that are no padding.
    #[default]
    Sample,
    /// Among all cells of the padded grid, one place for the whole batch, as in the released code: where it is
    /// padding nothing is masked.
    Batch,
}

/// A cell drawn before the grid is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellDraw {
    /// Place as a share of the cells, `0..1`.
    pub at: f64,
    /// Whether anything is masked beside this text.
    pub keep: bool,
    /// Which cells `at` counts.
    pub rule: CellRule,
}

impl Inputs<'_> {
    /// How often each picture stands in the joint pass: texts a picture, at least 1.
    pub fn copies(&self) -> usize {
        let images = self.images.pixels.dims()[0].max(1);
        (self.image_of.len() / images).max(1)
    }

    /// Whether every picture has exactly one text, in order.
    pub fn one_to_one(&self) -> bool {
        let images = self.images.pixels.dims()[0];
        self.image_of.len() == images && self.image_of.iter().enumerate().all(|(i, &at)| i == at)
    }

    /// Rows of `[images, ...]` beside the texts, `[texts, ...]`.
    pub fn beside_texts<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self.one_to_one() {
            true => tensor,
            false => {
                let rows = self.rows(&tensor.device());
                tensor.select(0, rows)
            }
        }
    }

    /// As [`Self::beside_texts`] for a mask.
    pub fn mask_beside_texts(&self, mask: Tensor<2, Bool>) -> Tensor<2, Bool> {
        match self.one_to_one() {
            true => mask,
            false => {
                let rows = self.rows(&mask.device());
                mask.int().select(0, rows).greater_elem(0)
            }
        }
    }

    fn rows(&self, device: &Device) -> Tensor<1, Int> {
        let rows: Vec<i32> = self.image_of.iter().map(|&at| at as i32).collect();
        Tensor::from_ints(rows.as_slice(), device)
    }
}
