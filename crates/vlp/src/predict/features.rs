//! Features of images and texts.

use burn::prelude::*;
use vlp_data::ResizedImage;
use vlp_objectives::EncoderPasses;

use super::attention_map::ImageGrid;
use super::encoded::EncodedImages;
use super::predictor::Predictor;
use super::texts::per_image;
use crate::error::VlpError;

/// An array of numbers with its shape.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct FeatureArray {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Features of a text and its image, read together.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct JointFeatures {
    /// `[tokens, d_model]`, `[CLS]` and `[SEP]` included.
    pub text: FeatureArray,
    /// `[rows, columns, d_model]`.
    pub image: FeatureArray,
}

impl Predictor {
    /// Image tokens after the encoder has read each image alone, `[rows, columns, d_model]`. Batches as
    /// [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Objective`] for images too small for the model.
    pub fn grid_features(&self, images: &[&ResizedImage]) -> Result<Vec<FeatureArray>, VlpError> {
        let encoded = self.encode(images, &[], EncoderPasses::IMAGE, false)?;
        let memory = encoded.output.image();
        let grids = (0..images.len()).map(|image| encoded.grid(memory, image));
        Ok(image_arrays(&memory.states, grids))
    }

    /// Tokens after the encoder has read each text alone, `[tokens, d_model]`, `[CLS]` and `[SEP]` included.
    pub fn text_features(&self, texts: &[&str]) -> Vec<FeatureArray> {
        if texts.is_empty() {
            return vec![];
        }
        let (text, lengths) = self.text_batch(texts);
        let states = self.trained().encoder().encode_text(&text).states;
        text_arrays(&states, lengths)
    }

    /// Tokens of each text and its image after the encoder has read them together. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Objective`] for images too small for the model.
    pub fn joint_features(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<JointFeatures>>, VlpError> {
        let texts = self.joint_texts(pairs.iter().map(|(_, texts)| *texts));
        if texts.is_empty() {
            return Ok(per_image(pairs, []));
        }
        let images: Vec<&ResizedImage> = pairs.iter().map(|(image, _)| *image).collect();
        let encoded: EncodedImages<'_> =
            self.encode(&images, &texts, EncoderPasses::JOINT, false)?;
        let joint = encoded.output.joint();
        let lengths = texts.iter().map(|text| text.ids.len());
        let text = text_arrays(&joint.text.states, lengths);
        let grids = (0..texts.len()).map(|row| encoded.grid(&joint.image, row));
        let image = image_arrays(&joint.image.states, grids);
        let features = text.into_iter().zip(image);
        let features = features.map(|(text, image)| JointFeatures { text, image });
        Ok(per_image(pairs, features))
    }
}

/// The part of each row `[tokens, width]` of `states` that its grid covers.
fn image_arrays(
    states: &Tensor<3>,
    grids: impl IntoIterator<Item = ImageGrid>,
) -> Vec<FeatureArray> {
    let [_, tokens, width] = states.dims();
    let values: Vec<f32> = states.clone().into_data().iter().collect();
    let rows = values.chunks((tokens * width).max(1)).zip(grids);
    let arrays = rows.map(|(values, grid)| {
        let [rows, columns] = grid.shape();
        let cells: Vec<&[f32]> = values.chunks(width.max(1)).collect();
        FeatureArray {
            shape: vec![rows, columns, width],
            values: grid.cells(&cells).concat(),
        }
    });
    arrays.collect()
}

/// The first tokens of each row `[tokens, width]` of `states`.
fn text_arrays(states: &Tensor<3>, lengths: impl IntoIterator<Item = usize>) -> Vec<FeatureArray> {
    let [_, tokens, width] = states.dims();
    let values: Vec<f32> = states.clone().into_data().iter().collect();
    let rows = values.chunks((tokens * width).max(1)).zip(lengths);
    let arrays = rows.map(|(values, length)| FeatureArray {
        shape: vec![length, width],
        values: values.iter().take(length * width).copied().collect(),
    });
    arrays.collect()
}
