//! Embeddings of images and texts by the contrastive head.

use vlp_data::ResizedImage;
use vlp_objectives::{EncoderPasses, Itc};

use super::predictor::Predictor;
use crate::error::VlpError;

impl Predictor {
    /// Width of the embeddings.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no contrastive head.
    pub fn embedding_dim(&self) -> Result<usize, VlpError> {
        let config = self.trained().config.objectives.itc.as_ref();
        config.map(|itc| itc.dim).ok_or_else(missing_itc)
    }

    /// An embedding of Euclidean length 1 for each image. Its dot product with that of a text says how similar they are.
    /// Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no contrastive head, [`VlpError::Objective`] for images too small for the model.
    pub fn image_embeddings(&self, images: &[&ResizedImage]) -> Result<Vec<Vec<f32>>, VlpError> {
        let head = self.contrastive_head()?;
        if images.is_empty() {
            return Ok(vec![]);
        }
        let encoded = self.encode(images, &[], EncoderPasses::IMAGE, false)?;
        let embeddings = head.image_embeddings(encoded.output.image());
        Ok(self.rows(embeddings.into_data().iter().collect()))
    }

    /// An embedding of Euclidean length 1 for each text.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no contrastive head.
    pub fn text_embeddings(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, VlpError> {
        let head = self.contrastive_head()?;
        if texts.is_empty() {
            return Ok(vec![]);
        }
        let (text, _) = self.text_batch(texts);
        let embeddings = head.text_embeddings(&self.trained().encoder().encode_text(&text));
        Ok(self.rows(embeddings.into_data().iter().collect()))
    }

    fn contrastive_head(&self) -> Result<&Itc, VlpError> {
        let head = self.trained().model().objectives().itc.as_ref();
        head.ok_or_else(missing_itc)
    }

    fn rows(&self, values: Vec<f32>) -> Vec<Vec<f32>> {
        let dim = self.embedding_dim().unwrap_or_default().max(1);
        values.chunks(dim).map(<[f32]>::to_vec).collect()
    }
}

fn missing_itc() -> VlpError {
    VlpError::Config(
        "this run has no contrastive head, which encodes images and texts separately: train one with \
         --set objectives.itc.dim=256, for example vlp finetune retrieval --from RUN --out NEW --set objectives.itc.dim=256"
            .into(),
    )
}
