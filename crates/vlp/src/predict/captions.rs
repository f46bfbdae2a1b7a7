//! Generated captions.

use burn::prelude::*;
use rand::RngExt;
use vlp_data::ResizedImage;
use vlp_objectives::{CaptioningConfig, EncoderPasses};
use vlp_transformer::{GeneratedSequence, TextBatch};

use super::encoded::EncodedImages;
use super::outputs::Caption;
use super::predictor::{Predictor, missing_head};
use crate::error::VlpError;

/// Options of caption generation.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionOptions {
    /// Beam search, or sampling if [`CaptioningConfig::sampling`] is set.
    pub config: CaptioningConfig,
    /// Number of captions sampled for each image; beam search returns its beams.
    pub count: usize,
    /// Seed of sampling; the random numbers are a function of it and of the image's pixels.
    pub seed: u64,
}

impl Predictor {
    /// The run's own settings of captions, one caption for each image; `None` without a caption head.
    pub fn caption_options(&self) -> Option<CaptionOptions> {
        let config = self.trained().config.objectives.caption.as_ref()?;
        Some(CaptionOptions {
            config: config.clone(),
            count: 1,
            seed: 0,
        })
    }

    /// Captions of each image: the beams, best score first, or the samples. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no caption head, [`VlpError::Objective`] for images too small for the model.
    pub fn caption_batch(
        &self,
        images: &[&ResizedImage],
        options: &CaptionOptions,
    ) -> Result<Vec<Vec<Caption>>, VlpError> {
        let encoded = self.encode(images, &[], EncoderPasses::IMAGE, false)?;
        let captions = encoded.generate(options)?;
        let captions = captions.ok_or_else(|| missing_head("objectives.caption"))?;
        let captions = captions.iter().map(|captions| {
            let captions = captions.iter();
            captions.map(|caption| encoded.caption(caption)).collect()
        });
        Ok(captions.collect())
    }
}

impl EncodedImages<'_> {
    /// Generated tokens of each image; `None` without a caption head.
    pub(super) fn generate(
        &self,
        options: &CaptionOptions,
    ) -> Result<Option<Vec<Vec<GeneratedSequence>>>, VlpError> {
        let Some(head) = &self.trained.model().objectives().caption else {
            return Ok(None);
        };
        let special = self.trained.tokenizer.special_tokens();
        let generator = head.generator(&self.output)?;
        let generation = options.config.generation(special.cls, special.sep);
        let Some(sampling) = &options.config.sampling else {
            return Ok(Some(generator.beams(&generation)));
        };
        let seeds = self.images.iter().map(|image| {
            let samples = 0..options.count.max(1) as u64;
            let seed = |sample| {
                let mut rng = vlp_data::rng(options.seed, sample, image.key, "caption");
                rng.random()
            };
            samples.map(seed).collect()
        });
        let seeds: Vec<Vec<u64>> = seeds.collect();
        Ok(Some(generator.samples(&generation, sampling, &seeds)))
    }

    pub(super) fn caption(&self, caption: &GeneratedSequence) -> Caption {
        Caption {
            text: self.trained.tokenizer.decode(&caption.ids),
            log_probability: caption.score,
        }
    }

    /// Attention weights of captions as the decoder reads them, from `[CLS]` on, `[captions, length, image tokens]`; `None`
    /// without a caption head. `images` has the image of each caption.
    pub(super) fn caption_attention(
        &self,
        captions: &[Vec<u32>],
        images: &[usize],
    ) -> Result<Option<Tensor<3>>, VlpError> {
        let Some(head) = &self.trained.model().objectives().caption else {
            return Ok(None);
        };
        let rows: Vec<i32> = images.iter().map(|&image| image as i32).collect();
        let rows = Tensor::from_ints(rows.as_slice(), &self.trained.device);
        let memory = self.output.image().select(rows);
        let mut head = head.head(&self.output)?;
        head.memory = &memory;
        let ids: Vec<&[u32]> = captions.iter().map(Vec::as_slice).collect();
        let pad = self.trained.tokenizer.special_tokens().pad;
        let text = TextBatch::collate(&ids, pad, &self.trained.device);
        Ok(Some(head.attention_weights(&text)))
    }
}
