//! A trained model for use on images.

use std::path::Path;

use burn::prelude::*;
use vlp_data::Image;
use vlp_data::transform::{normalize, resize};
use vlp_objectives::{EncoderPasses, Inputs, ObjectiveError, Pairing};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;
use vlp_vision::padded::ImageView;

use super::prediction::{Caption, Object, Prediction, Request};
use super::reader::Reader;
use crate::config::CheckpointChoice;
use crate::error::VlpError;
use crate::run::TrainedModel;

/// A trained model for use on images.
///
/// ```no_run
/// use vlp::Predictor;
///
/// let model = Predictor::load("runs/first")?;
/// let image = vlp::predict::read_image("photo.jpg")?;
/// println!("{}", model.caption(&image)?.text);
/// for object in model.detect(&image, 0.5)? {
///     println!("{} {:.2} at {:?}", object.class, object.score, object.bbox);
/// }
/// # Ok::<(), vlp::VlpError>(())
/// ```
#[derive(Debug)]
pub struct Predictor {
    trained: TrainedModel,
}

impl Predictor {
    /// The model of a run's last checkpoint, on the best device compiled in.
    ///
    /// # Errors
    /// As [`TrainedModel::open`].
    pub fn load(run: impl AsRef<Path>) -> Result<Self, VlpError> {
        let device = crate::device::pick("auto")?;
        Self::load_checkpoint(run, CheckpointChoice::Last, &device)
    }

    /// The model of a checkpoint of a run, on a device.
    ///
    /// # Errors
    /// As [`TrainedModel::open_checkpoint`].
    pub fn load_checkpoint(
        run: impl AsRef<Path>,
        checkpoint: CheckpointChoice,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let trained = TrainedModel::open_checkpoint(run, checkpoint, device)?;
        Ok(Self { trained })
    }

    /// The model with its configuration and names.
    pub fn trained(&self) -> &TrainedModel {
        &self.trained
    }

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
        prediction
            .objects
            .ok_or_else(|| missing_head("objectives.detection"))
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

    /// Predictions of all heads of the run for a batch of images.
    ///
    /// # Errors
    /// [`VlpError::Config`] for questions or texts without a head for them, [`VlpError::Objective`] for images too small for
    /// the model.
    pub fn predict(
        &self,
        images: &[Image],
        request: &Request,
    ) -> Result<Vec<Prediction>, VlpError> {
        let trained = &self.trained;
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
        let padded = self.collate(&self.resize(images)?)?;
        let texts: Vec<&str> = (request.questions.iter().chain(&request.texts))
            .map(String::as_str)
            .collect();
        let max_len = trained.config.data.max_text_len;
        let encode = |text: &str| trained.tokenizer.encode(text, max_len).ids;
        let mut ids: Vec<Vec<u32>> = texts.iter().map(|text| encode(text)).collect();
        if ids.is_empty() {
            ids.push(encode(""));
        }
        // Every image with every text.
        let rows = (0..images.len()).flat_map(|_| ids.iter().map(Vec::as_slice));
        let rows: Vec<&[u32]> = rows.collect();
        let image_index = (0..rows.len()).map(|row| row / ids.len());
        let pairing = Pairing::new(images.len(), image_index.collect());
        let pad = trained.tokenizer.special_tokens().pad;
        let text = TextBatch::collate(&rows, pad, &trained.device);
        let inputs = Inputs::new(&padded, &text, &pairing);
        let mut passes = EncoderPasses::NONE;
        if !texts.is_empty() {
            passes = passes.union(EncoderPasses::JOINT);
        }
        if heads.detection.is_some() || heads.caption.is_some() {
            passes = passes.union(EncoderPasses::IMAGE);
        }
        let (output, text_attention) = match request.attention {
            true => trained.encoder().encode_with_attention(&inputs, passes)?,
            false => (trained.encoder().encode(&inputs, passes)?, None),
        };
        let reader = Reader {
            trained,
            output: &output,
            text_attention,
            images,
            request,
        };
        reader.read(&texts, &ids)
    }

    /// Images resized as in validation.
    fn resize(&self, images: &[Image]) -> Result<Vec<Image>, VlpError> {
        let data = &self.trained.config.data;
        let rule = data.eval_resize.as_ref().unwrap_or(&data.resize);
        let images = images.iter().map(|image| {
            let mut rng = vlp_data::rng(0, 0, 0, "resize");
            let (width, height) = rule.target_size(image.width, image.height, &mut rng);
            Ok(resize(image, width, height)?)
        });
        images.collect()
    }

    fn collate(&self, images: &[Image]) -> Result<PaddedImages, VlpError> {
        let pixels: Vec<Vec<f32>> = images.iter().map(normalize).collect();
        let views = images.iter().zip(&pixels).map(|(image, pixels)| ImageView {
            pixels,
            height: image.height,
            width: image.width,
        });
        let views: Vec<ImageView<'_>> = views.collect();
        let multiple = self.trained.config.data.pad_multiple;
        let padded = PaddedImages::collate(&views, multiple, &self.trained.device);
        Ok(padded.map_err(ObjectiveError::from)?)
    }
}

fn missing_head(objective: &str) -> VlpError {
    VlpError::Config(format!(
        "this run has no {objective}: train it with one, or fine-tune it for the task (vlp finetune)"
    ))
}
