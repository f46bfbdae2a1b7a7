//! Metrics of detection.

use vlp_eval::coco_ap::{Detection, DetectionCollection};

use super::post_process::DetectedObject;
use super::target::{DetectionTarget, TargetObject};
use crate::error::ObjectiveError;
use crate::metrics::{MetricContext, Metrics, Predictions, Score};

crate::mean_metrics! {
    /// Accuracies of queries that are matched to an object.
    pub struct MatchedAccuracies {
        /// Fraction of matched queries whose most probable class is right.
        pub class: "detection/class_accuracy",
        /// Of an object with k attributes, the fraction among the k most probable ones; mean over matched queries.
        pub attribute: "detection/attribute_accuracy",
    }
}

/// Average precision of detections, and accuracies of matched queries. Each image counts once, however often it is recorded.
#[derive(Debug, Clone, Default)]
pub struct DetectionMetrics {
    /// Accuracies of matched queries.
    pub matched: MatchedAccuracies,
    /// Categories are indices of the vocabulary.
    images: DetectionCollection,
}

impl DetectionMetrics {
    /// Records an image's detections and true objects; `false` if it was recorded before.
    pub fn record_image(&mut self, objects: &[DetectedObject], target: &DetectionTarget) -> bool {
        let (width, height) = (target.size.0 as f64, target.size.1 as f64);
        // COCO's left, top, width, height in pixels of the original image.
        let to_coco = |bbox: [f32; 4]| {
            let [cx, cy, w, h] = bbox.map(f64::from);
            [
                (cx - w / 2.0) * width,
                (cy - h / 2.0) * height,
                w * width,
                h * height,
            ]
        };
        let mut detections: Vec<Detection> = objects
            .iter()
            .map(|object| Detection {
                image_id: target.image_id,
                category_id: object.class as u32,
                bbox: to_coco(object.bbox),
                score: f64::from(object.score),
            })
            .collect();
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.images
            .add_image(target.image_id, target.ground_truth.clone(), detections)
    }

    /// Records class and attributes of a query that is matched to `truth`.
    pub fn record_match(&mut self, object: &DetectedObject, truth: &TargetObject) {
        self.matched
            .class
            .record_correct(object.class == truth.class);
        if truth.attributes.is_empty() || object.attributes.is_empty() {
            return;
        }
        let mut order: Vec<usize> = (0..object.attributes.len()).collect();
        order.sort_by(|&a, &b| object.attributes[b].total_cmp(&object.attributes[a]));
        let top = &order[..truth.attributes.len().min(order.len())];
        let correct = truth.attributes.iter().filter(|a| top.contains(a)).count();
        let fraction = correct as f64 / truth.attributes.len() as f64;
        self.matched.attribute.record_fraction(fraction);
    }
}

impl Metrics for DetectionMetrics {
    fn merge(&mut self, other: Self) {
        self.matched.merge(other.matched);
        self.images.merge(other.images);
    }

    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let summary = match self.images.is_empty() {
            true => None,
            false => Some(self.images.evaluate()?),
        };
        let summary = summary.as_ref();
        let mut scores = self.matched.scores(context)?;
        scores.extend([
            Score::higher("detection/ap", summary.and_then(|summary| summary.ap)),
            Score::higher("detection/ap50", summary.and_then(|summary| summary.ap50)),
        ]);
        Ok(scores)
    }

    fn predictions(&self, context: &MetricContext<'_>, predictions: &mut Predictions) {
        let detections = self.images.detections().map(|detection| Detection {
            category_id: context.labels.id(detection.category_id as usize) as u32,
            ..detection.clone()
        });
        predictions.detections.extend(detections);
    }
}
