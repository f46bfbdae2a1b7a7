//! Detected objects.

use burn::prelude::*;
use vlp_data::ResizedImage;
use vlp_objectives::detection::DetectedObject;
use vlp_objectives::detection::boxes::corners;
use vlp_objectives::{Detection, EncoderPasses, Objective};

use super::encoded::EncodedImages;
use super::outputs::Object;
use super::predictor::{Predictor, missing_head};
use crate::error::VlpError;
use crate::report::{name_or_index, top_indices};
use crate::run::TrainedModel;

/// Number of attributes that are returned for an object.
const TOP: usize = 5;

/// The detection head of a run, if it reads images alone.
pub(super) fn detection_head(trained: &TrainedModel) -> Option<&Detection> {
    let config = trained.config.objectives.detection.as_ref();
    let head = trained.model().objectives().detection.as_ref();
    head.filter(|_| !config.is_some_and(|config| config.from_joint))
}

pub(super) fn missing_detection() -> VlpError {
    missing_head("objectives.detection, or it reads text (from_joint)")
}

/// Whether a run detects objects in images without text.
pub fn has_detection(trained: &TrainedModel) -> bool {
    detection_head(trained).is_some()
}

impl Predictor {
    /// Objects of each image with a score of at least `threshold`, greatest score first. Batches as
    /// [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no detection head, [`VlpError::Objective`] for images too small for the model.
    pub fn detect_batch(
        &self,
        images: &[&ResizedImage],
        threshold: f32,
    ) -> Result<Vec<Vec<Object>>, VlpError> {
        self.detect_label_space(images, self.label_space, threshold)
    }

    /// As [`Self::detect_batch`], with the classes of another label space of the run: an index into
    /// [`Vocabulary::label_spaces`](crate::data::Vocabulary::label_spaces).
    ///
    /// # Errors
    /// As [`Self::detect_batch`], and [`VlpError::Config`] if there is no such label space.
    pub fn detect_label_space(
        &self,
        images: &[&ResizedImage],
        label_space: usize,
        threshold: f32,
    ) -> Result<Vec<Vec<Object>>, VlpError> {
        if detection_head(self.trained()).is_none() {
            return Err(missing_detection());
        }
        let count = self.trained().vocabulary.label_spaces.len();
        if label_space >= count {
            return Err(VlpError::Config(format!(
                "label space {label_space}, counted from 0: the run has {count}"
            )));
        }
        let encoded = self.encode(images, &[], EncoderPasses::IMAGE, false)?;
        let encoded = EncodedImages {
            label_space,
            ..encoded
        };
        let objects = encoded.objects(threshold)?;
        Ok(objects.unwrap_or_default())
    }
}

impl EncodedImages<'_> {
    /// Objects of each image with a score of at least `threshold`; `None` without a detection head.
    pub(super) fn objects(&self, threshold: f32) -> Result<Option<Vec<Vec<Object>>>, VlpError> {
        let Some(head) = detection_head(self.trained) else {
            return Ok(None);
        };
        let decoder = self.output.parts.decoder(Detection::NAME)?;
        let detections = head.detect(self.output.image(), decoder, self.label_space);
        let images = detections.into_iter().zip(self.images);
        let objects = images.map(|(detections, image)| {
            let detections = detections.into_iter();
            let detections = detections.filter(|detection| detection.score >= threshold);
            detections
                .map(|detection| self.object(&detection, image))
                .collect()
        });
        Ok(Some(objects.collect()))
    }

    /// Attention weights of all queries, `[images, queries, image tokens]`; `None` without a detection head.
    pub(super) fn query_attention(&self) -> Result<Option<Tensor<3>>, VlpError> {
        let Some(head) = detection_head(self.trained) else {
            return Ok(None);
        };
        let decoder = self.output.parts.decoder(Detection::NAME)?;
        Ok(Some(head.attention_weights(self.output.image(), decoder)))
    }

    fn object(&self, detection: &DetectedObject, image: &ResizedImage) -> Object {
        let labels = &self.trained.vocabulary.label_spaces[self.label_space];
        let [x0, y0, x1, y1] = corners(detection.bbox);
        let (width, height) = (image.original_width as f32, image.original_height as f32);
        let attributes = top_indices(&detection.attributes, TOP).into_iter();
        let attributes = attributes.map(|index| {
            let name = name_or_index(&labels.attributes, index);
            (name, detection.attributes[index])
        });
        Object {
            query: detection.query,
            class: name_or_index(&labels.classes, detection.class),
            score: detection.score,
            bbox: [x0 * width, y0 * height, x1 * width, y1 * height],
            attributes: attributes.collect(),
        }
    }
}
