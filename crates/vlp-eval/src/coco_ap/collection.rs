//! Detections and objects collected image by image.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::evaluate::evaluate;
use super::types::{CocoSummary, Detection, GroundTruth};
use crate::EvalError;

/// Detections and annotated objects of images. An image that is added again is ignored, so that it is counted once in a
/// data set with several samples of an image.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DetectionCollection {
    ids: HashSet<u64>,
    images: Vec<ImageDetections>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ImageDetections {
    image_id: u64,
    ground_truth: Vec<GroundTruth>,
    detections: Vec<Detection>,
}

impl DetectionCollection {
    /// Adds an image, whose id all records must have, unless it was added before; whether it was added.
    pub fn add_image(
        &mut self,
        image_id: u64,
        ground_truth: Vec<GroundTruth>,
        detections: Vec<Detection>,
    ) -> bool {
        let is_new = self.ids.insert(image_id);
        if is_new {
            self.images.push(ImageDetections {
                image_id,
                ground_truth,
                detections,
            });
        }
        is_new
    }

    /// Whether an image was added.
    #[must_use]
    pub fn contains(&self, image_id: u64) -> bool {
        self.ids.contains(&image_id)
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Adds the images of another collection, except for those that this one has.
    pub fn merge(&mut self, other: Self) {
        for image in other.images {
            self.add_image(image.image_id, image.ground_truth, image.detections);
        }
    }

    /// All detections, in the order in which their images were added.
    pub fn detections(&self) -> impl Iterator<Item = &Detection> {
        self.images.iter().flat_map(|image| &image.detections)
    }

    /// COCO AP over the images; see [`evaluate`](super::evaluate).
    ///
    /// # Errors
    /// As [`evaluate`](super::evaluate).
    pub fn evaluate(&self) -> Result<CocoSummary, EvalError> {
        let image_ids: Vec<u64> = self.images.iter().map(|image| image.image_id).collect();
        let truths = self.images.iter().flat_map(|image| &image.ground_truth);
        let truths: Vec<GroundTruth> = truths.cloned().collect();
        let detections: Vec<Detection> = self.detections().cloned().collect();
        evaluate(&image_ids, &truths, &detections)
    }
}
