//! A batch of images and texts after the encoder.

use burn::prelude::*;
use vlp_data::transform::normalize;
use vlp_data::{Image, ResizedImage};
use vlp_objectives::{EncoderOutput, EncoderPasses, Inputs, ObjectiveError, Pairing};
use vlp_transformer::{Memory, TextBatch};
use vlp_vision::PaddedImages;
use vlp_vision::padded::ImageView;

use super::attention_map::ImageGrid;
use super::predictor::Predictor;
use crate::error::VlpError;
use crate::run::TrainedModel;

/// A text of the joint pass.
#[derive(Debug, Clone)]
pub(super) struct JointText {
    /// Index of its image in the batch.
    pub(super) image: usize,
    /// `[CLS]` ... `[SEP]`.
    pub(super) ids: Vec<u32>,
}

/// A batch of images and texts after the encoder.
#[derive(Debug)]
pub(super) struct EncodedImages<'a> {
    pub(super) trained: &'a TrainedModel,
    pub(super) images: &'a [&'a ResizedImage],
    /// Index of the label space whose classes are detected.
    pub(super) label_space: usize,
    pub(super) output: EncoderOutput<'a>,
    /// Attention weights of the joint pass, `[texts, length, image tokens]`, if requested.
    pub(super) text_attention: Option<Tensor<3>>,
}

impl Predictor {
    /// An image as the model reads it: resized as in validation.
    ///
    /// # Errors
    /// [`VlpError::Data`] if its pixels do not have its size.
    pub fn resize(&self, image: &Image) -> Result<ResizedImage, VlpError> {
        let data = &self.trained().config.data;
        let rule = data.eval_resize.as_ref().unwrap_or(&data.resize);
        Ok(ResizedImage::new(image, rule)?)
    }

    /// Width and height of a batch of this image alone. Images of a batch are padded to the largest of these sizes, and
    /// padding affects the backbone's output: results equal those of single images only if this size is the same for
    /// all.
    pub fn padded_size(&self, image: &ResizedImage) -> (usize, usize) {
        image.padded_size(self.trained().config.data.pad_multiple)
    }

    /// Runs the encoder on images, and on texts with their images.
    pub(super) fn encode<'a>(
        &'a self,
        images: &'a [&'a ResizedImage],
        texts: &[JointText],
        passes: EncoderPasses,
        with_attention: bool,
    ) -> Result<EncodedImages<'a>, VlpError> {
        let trained = self.trained();
        let padded = collate(images, trained)?;
        let empty = self.token_ids("");
        let (mut rows, mut image_index) = (vec![], vec![]);
        for text in texts {
            rows.push(text.ids.as_slice());
            image_index.push(text.image);
        }
        if rows.is_empty() {
            // The joint pass does not run, but its input has a row for each image.
            rows = vec![empty.as_slice(); images.len()];
            image_index = (0..images.len()).collect();
        }
        let pairing = Pairing::new(images.len(), image_index);
        let pad = trained.tokenizer.special_tokens().pad;
        let text = TextBatch::collate(&rows, pad, &trained.device);
        let inputs = Inputs::new(&padded, &text, &pairing);
        let (output, text_attention) = match with_attention {
            true => trained.encoder().encode_with_attention(&inputs, passes)?,
            false => (trained.encoder().encode(&inputs, passes)?, None),
        };
        Ok(EncodedImages {
            trained,
            images,
            label_space: self.label_space,
            output,
            text_attention,
        })
    }

    /// The tokens of a text, `[CLS]` ... `[SEP]`.
    pub(super) fn token_ids(&self, text: &str) -> Vec<u32> {
        let trained = self.trained();
        let max_len = trained.config.data.max_text_len;
        trained.tokenizer.encode(text, max_len).ids
    }

    /// Texts as the encoder reads them, and the number of tokens of each.
    pub(super) fn text_batch(&self, texts: &[&str]) -> (TextBatch, Vec<usize>) {
        let trained = self.trained();
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| self.token_ids(text)).collect();
        let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let pad = trained.tokenizer.special_tokens().pad;
        let batch = TextBatch::collate(&rows, pad, &trained.device);
        (batch, ids.iter().map(Vec::len).collect())
    }

    /// The texts of each image, image by image.
    pub(super) fn joint_texts<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t [String]>,
    ) -> Vec<JointText> {
        let images = texts.into_iter().enumerate();
        let texts = images.flat_map(|(image, texts)| {
            texts.iter().map(move |text| JointText {
                image,
                ids: self.token_ids(text),
            })
        });
        texts.collect()
    }
}

impl EncodedImages<'_> {
    /// The grid that a batch row of a memory covers.
    pub(super) fn grid(&self, memory: &Memory, row: usize) -> ImageGrid {
        let padding = memory.pad_mask.clone().int().narrow(0, row, 1).into_data();
        let padding: Vec<bool> = padding.iter::<i64>().map(|value| value != 0).collect();
        ImageGrid::new(&padding, self.output.grid[1])
    }
}

fn collate(images: &[&ResizedImage], trained: &TrainedModel) -> Result<PaddedImages, VlpError> {
    let pixels: Vec<Vec<f32>> = images.iter().map(|image| normalize(&image.image)).collect();
    let views = images.iter().zip(&pixels).map(|(image, pixels)| ImageView {
        pixels,
        height: image.image.height,
        width: image.image.width,
    });
    let views: Vec<ImageView<'_>> = views.collect();
    let multiple = trained.config.data.pad_multiple;
    let padded = PaddedImages::collate(&views, multiple, &trained.device);
    Ok(padded.map_err(ObjectiveError::from)?)
}
