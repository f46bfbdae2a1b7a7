//! Whether statements about two images are true (NLVR2).

use burn::tensor::activation::softmax;
use vlp_data::{Image, ResizedImage};
use vlp_objectives::EncoderPasses;

use super::encoded::JointText;
use super::predictor::{Predictor, missing_head};
use crate::error::VlpError;

impl Predictor {
    /// Probability that a statement is true of two images.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run was not fine-tuned for statements.
    pub fn statement(&self, left: &Image, right: &Image, statement: &str) -> Result<f32, VlpError> {
        let (left, right) = (self.resize(left)?, self.resize(right)?);
        let statements = [statement.to_owned()];
        let probabilities = self.statement_batch(&[([&left, &right], &statements)])?;
        Ok(probabilities.concat().first().copied().unwrap_or_default())
    }

    /// The probability that each statement is true of its images, left and right. Both are padded to the greater of them, so
    /// that the results are those of single pairs only where [`Self::padded_size`] is equal among the left images of the
    /// batch, and among the right ones.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run was not fine-tuned for statements, [`VlpError::Objective`] for images too small for the
    /// model.
    pub fn statement_batch(
        &self,
        asked: &[([&ResizedImage; 2], &[String])],
    ) -> Result<Vec<Vec<f32>>, VlpError> {
        let Some(head) = &self.trained().model().objectives().nlvr2 else {
            return Err(missing_head("objectives.nlvr2"));
        };
        let (mut images, mut texts) = (vec![], vec![]);
        for (pair, statements) in asked {
            let [left, right] = [images.len(), images.len() + 1];
            images.extend(pair);
            for statement in *statements {
                let ids = self.token_ids(statement);
                // The head reads the two passes of a statement one after the other.
                texts.extend([left, right].map(|image| JointText {
                    image,
                    ids: ids.clone(),
                }));
            }
        }
        if texts.is_empty() {
            return Ok(vec![vec![]; asked.len()]);
        }
        let encoded = self.encode(&images, &texts, EncoderPasses::JOINT, false)?;
        let logits = head.logits(encoded.output.joint().text.cls());
        let probabilities = softmax(logits, 1).narrow(1, 1, 1).into_data();
        let mut probabilities = probabilities.iter::<f32>();
        let of_pair = |(_, statements): &(_, &[String])| {
            probabilities.by_ref().take(statements.len()).collect()
        };
        Ok(asked.iter().map(of_pair).collect())
    }
}
