//! Whether images entail hypotheses (SNLI-VE).

use burn::tensor::activation::softmax;
use serde::Serialize;
use vlp_data::read::premise_and_hypothesis;
use vlp_data::{Entailment, Image, ResizedImage};

use super::encoded::EncodedImages;
use super::predictor::{Predictor, missing_head};
use super::texts::per_image;
use crate::error::VlpError;
use crate::run::TrainedModel;

/// Probabilities of the relations of a hypothesis to an image; their sum is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EntailmentProbabilities {
    /// The image contradicts the hypothesis.
    pub contradiction: f32,
    /// The image neither proves nor contradicts it.
    pub neutral: f32,
    /// The image proves it.
    pub entailment: f32,
}

/// Hypotheses about an image.
#[derive(Debug, Clone, Copy)]
pub struct HypothesisRequest<'a> {
    /// A caption that is taken as true of the image, for a run with `data.premise`.
    pub premise: Option<&'a str>,
    /// The hypotheses, each with the premise.
    pub hypotheses: &'a [String],
}

/// Whether a run was fine-tuned on hypotheses with a premise before them.
pub(crate) fn reads_premise(trained: &TrainedModel) -> bool {
    trained.model().objectives().snli_ve.is_some() && trained.config.data.premise
}

impl Predictor {
    /// The relation of a hypothesis to an image, with a premise for a run with `data.premise`.
    ///
    /// # Errors
    /// As [`Self::entail_batch`].
    pub fn entail(
        &self,
        image: &Image,
        premise: Option<&str>,
        hypothesis: &str,
    ) -> Result<EntailmentProbabilities, VlpError> {
        let image = self.resize(image)?;
        let hypotheses = &[hypothesis.to_owned()];
        let request = HypothesisRequest {
            premise,
            hypotheses,
        };
        let probabilities = self.entail_batch(&[(&image, request)])?.concat();
        Ok(probabilities.first().copied().unwrap_or_default())
    }

    /// The relation of each hypothesis to its image. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run was not fine-tuned for hypotheses, or was without `data.premise` and there is a premise;
    /// [`VlpError::Objective`] for images too small for the model.
    pub fn entail_batch(
        &self,
        asked: &[(&ResizedImage, HypothesisRequest<'_>)],
    ) -> Result<Vec<Vec<EntailmentProbabilities>>, VlpError> {
        if self.trained().model().objectives().snli_ve.is_none() {
            return Err(missing_head("objectives.snli_ve"));
        }
        let has_premise = asked.iter().any(|(_, request)| request.premise.is_some());
        if has_premise && !reads_premise(self.trained()) {
            return Err(VlpError::Config(
                "premise: this run was fine-tuned without data.premise; the image alone is the premise".into(),
            ));
        }
        let texts = asked.iter().map(|(image, request)| {
            let text = |hypothesis: &String| match request.premise {
                Some(premise) => premise_and_hypothesis(premise, hypothesis),
                None => hypothesis.clone(),
            };
            (*image, request.hypotheses.iter().map(text).collect())
        });
        let texts: Vec<(&ResizedImage, Vec<String>)> = texts.collect();
        let pairs = texts
            .iter()
            .map(|(image, texts)| (*image, texts.as_slice()));
        let pairs: Vec<(&ResizedImage, &[String])> = pairs.collect();
        let rows = self.encode_pairs(&pairs, |encoded| encoded.entailment_probabilities())?;
        Ok(per_image(&pairs, rows))
    }
}

impl EncodedImages<'_> {
    /// The relation of each text of the joint pass to its image; none without a head for it.
    fn entailment_probabilities(&self) -> Vec<EntailmentProbabilities> {
        let Some(head) = &self.trained.model().objectives().snli_ve else {
            return vec![];
        };
        let probabilities = softmax(head.logits(self.output.joint().text.cls()), 1);
        let probabilities: Vec<f32> = probabilities.into_data().iter().collect();
        let rows = probabilities.chunks_exact(Entailment::ALL.len());
        rows.map(|row| EntailmentProbabilities {
            contradiction: row[Entailment::Contradiction as usize],
            neutral: row[Entailment::Neutral as usize],
            entailment: row[Entailment::Entailment as usize],
        })
        .collect()
    }
}
