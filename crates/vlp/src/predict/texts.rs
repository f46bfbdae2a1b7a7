//! Answers to questions, and probabilities that texts match.

use burn::tensor::activation::softmax;
use vlp_data::ResizedImage;
use vlp_objectives::EncoderPasses;

use super::encoded::EncodedImages;
use super::predictor::{Predictor, missing_head};
use crate::error::VlpError;
use crate::report::{name_or_index, top_indices};

/// Answers to a question with their probabilities, most probable first.
pub type Answers = Vec<(String, f32)>;

impl Predictor {
    /// Whether a text has more tokens than the model reads (`data.max_text_len`), so that it is truncated.
    pub fn truncates(&self, text: &str) -> bool {
        let trained = self.trained();
        let max_len = trained.config.data.max_text_len;
        trained.tokenizer.encode(text, max_len).truncated
    }

    /// The `top` most probable answers to the questions about each image. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run was not fine-tuned for questions, [`VlpError::Objective`] for images too small for the
    /// model.
    pub fn answer_batch(
        &self,
        asked: &[(&ResizedImage, &[String])],
        top: usize,
    ) -> Result<Vec<Vec<Answers>>, VlpError> {
        if self.trained().model().objectives().vqa.is_none() {
            return Err(missing_head("objectives.vqa"));
        }
        let rows = self.encode_pairs(asked, |encoded| encoded.answers(top))?;
        Ok(per_image(asked, rows))
    }

    /// The probability that each text matches its image. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no matching head, [`VlpError::Objective`] for images too small for the model.
    pub fn match_batch(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<f32>>, VlpError> {
        if self.trained().model().objectives().itm.is_none() {
            return Err(missing_head("objectives.itm"));
        }
        let rows = self.encode_pairs(pairs, |encoded| encoded.match_probabilities())?;
        Ok(per_image(pairs, rows))
    }

    /// The log odds that each text matches its image: their order is that of the probabilities, and they differ where those
    /// are rounded to 1. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// As [`Self::match_batch`].
    pub fn match_log_odds(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<f32>>, VlpError> {
        if self.trained().model().objectives().itm.is_none() {
            return Err(missing_head("objectives.itm"));
        }
        let rows = self.encode_pairs(pairs, |encoded| encoded.match_log_odds())?;
        Ok(per_image(pairs, rows))
    }

    /// Reads the joint pass of texts and their images.
    pub(super) fn encode_pairs<T>(
        &self,
        pairs: &[(&ResizedImage, &[String])],
        read: impl FnOnce(&EncodedImages<'_>) -> Vec<T>,
    ) -> Result<Vec<T>, VlpError> {
        let texts = self.joint_texts(pairs.iter().map(|(_, texts)| *texts));
        if texts.is_empty() {
            return Ok(vec![]);
        }
        let images: Vec<&ResizedImage> = pairs.iter().map(|(image, _)| *image).collect();
        Ok(read(&self.encode(
            &images,
            &texts,
            EncoderPasses::JOINT,
            false,
        )?))
    }
}

/// Rows of all texts, divided among the images.
pub(super) fn per_image<T>(
    pairs: &[(&ResizedImage, &[String])],
    rows: impl IntoIterator<Item = T>,
) -> Vec<Vec<T>> {
    let mut rows = rows.into_iter();
    let images = pairs.iter();
    images
        .map(|(_, texts)| rows.by_ref().take(texts.len()).collect())
        .collect()
}

impl EncodedImages<'_> {
    /// The `top` most probable answers of each text of the joint pass; none without an answer head.
    pub(super) fn answers(&self, top: usize) -> Vec<Answers> {
        let Some(head) = &self.trained.model().objectives().vqa else {
            return vec![];
        };
        let names = &self.trained.vocabulary.answers;
        let rows = head.answer_probabilities(self.output.joint().text.cls());
        let answers = rows.iter().map(|probabilities| {
            let top = top_indices(probabilities, top).into_iter();
            top.map(|index| (name_or_index(names, index), probabilities[index]))
                .collect()
        });
        answers.collect()
    }

    /// The probability that each text of the joint pass matches its image; none without a matching head.
    pub(super) fn match_probabilities(&self) -> Vec<f32> {
        let Some(head) = &self.trained.model().objectives().itm else {
            return vec![];
        };
        let probabilities = softmax(head.logits(self.output.joint().text.cls()), 1).narrow(1, 1, 1);
        probabilities.into_data().iter().collect()
    }

    /// The log odds that each text of the joint pass matches its image; none without a matching head.
    fn match_log_odds(&self) -> Vec<f32> {
        let Some(head) = &self.trained.model().objectives().itm else {
            return vec![];
        };
        let logits = head.logits(self.output.joint().text.cls());
        let log_odds = logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1);
        log_odds.into_data().iter().collect()
    }
}
