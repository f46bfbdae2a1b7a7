//! Predictions of all heads, and of one of them for a single image.

use vlp_data::{Image, ResizedImage};
use vlp_objectives::EncoderPasses;

use super::objects::missing_detection;
use super::outputs::{Caption, Object};
use super::prediction::{Prediction, Request};
use super::predictor::{Predictor, missing_head};
use super::reader::Reader;
use crate::error::VlpError;

impl Predictor {
    /// A caption.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no caption head.
    pub fn caption(&self, image: &Image) -> Result<Caption, VlpError> {
        let prediction = self.predict_one(image, &Request::default())?;
        prediction
            .caption
            .ok_or_else(|| missing_head("objectives.caption"))
    }

    /// Objects with a score of at least `threshold`, greatest score first.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no detection head.
    pub fn detect(&self, image: &Image, threshold: f32) -> Result<Vec<Object>, VlpError> {
        let request = Request {
            threshold,
            ..Request::default()
        };
        let prediction = self.predict_one(image, &request)?;
        prediction.objects.ok_or_else(missing_detection)
    }

    /// Answers to a question with their probabilities, most probable first.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run was not fine-tuned for questions.
    pub fn answer(&self, image: &Image, question: &str) -> Result<Vec<(String, f32)>, VlpError> {
        let request = Request {
            questions: vec![question.into()],
            ..Request::default()
        };
        let answers = self.predict_one(image, &request)?.answers;
        let answers = answers.and_then(|mut all| all.pop());
        answers.ok_or_else(|| missing_head("objectives.vqa"))
    }

    /// Probability that a text matches an image.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no matching head.
    pub fn matches(&self, image: &Image, text: &str) -> Result<f32, VlpError> {
        let request = Request {
            texts: vec![text.into()],
            ..Request::default()
        };
        let matches = self.predict_one(image, &request)?.matches;
        let probability = matches.and_then(|mut all| all.pop());
        probability.ok_or_else(|| missing_head("objectives.itm"))
    }

    fn predict_one(&self, image: &Image, request: &Request) -> Result<Prediction, VlpError> {
        let predictions = self.predict(std::slice::from_ref(image), request)?;
        Ok(predictions.into_iter().next().unwrap_or_default())
    }

    /// Predictions of all heads of the run for a batch of images. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] for questions or texts without a head for them, [`VlpError::Objective`] for images too small for
    /// the model.
    pub fn predict(
        &self,
        images: &[Image],
        request: &Request,
    ) -> Result<Vec<Prediction>, VlpError> {
        let images = images.iter().map(|image| self.resize(image));
        let images: Vec<ResizedImage> = images.collect::<Result<_, _>>()?;
        self.predict_resized(&images.iter().collect::<Vec<_>>(), request)
    }

    /// As [`Self::predict`], of images that are resized. Batches as [`Self::padded_size`] says.
    pub(super) fn predict_resized(
        &self,
        images: &[&ResizedImage],
        request: &Request,
    ) -> Result<Vec<Prediction>, VlpError> {
        let trained = self.trained();
        let heads = trained.model().objectives();
        if !request.questions.is_empty() && heads.vqa.is_none() {
            return Err(missing_head("objectives.vqa"));
        }
        if !request.texts.is_empty() && heads.itm.is_none() {
            return Err(missing_head("objectives.itm"));
        }
        if images.is_empty() {
            return Ok(vec![]);
        }
        let texts = request.questions.iter().chain(&request.texts).cloned();
        let texts: Vec<String> = texts.collect();
        // Every image with every text.
        let joint_texts = self.joint_texts(images.iter().map(|_| texts.as_slice()));
        let mut passes = EncoderPasses::NONE;
        if !texts.is_empty() {
            passes = passes.union(EncoderPasses::JOINT);
        }
        if heads.detection.is_some() || heads.caption.is_some() {
            passes = passes.union(EncoderPasses::IMAGE);
        }
        let encoded = self.encode(images, &joint_texts, passes, request.attention)?;
        let reader = Reader {
            encoded: &encoded,
            request,
        };
        reader.read(&texts, &joint_texts)
    }
}
