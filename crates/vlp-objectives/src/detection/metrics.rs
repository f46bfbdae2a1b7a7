//! Metrics of detection.

use serde::{Deserialize, Serialize};
use vlp_data::LabelSpace;
use vlp_eval::coco_ap::{Detection, DetectionCollection};

use super::post_process::DetectedObject;
use super::target::{DetectionTarget, TargetObject};
use crate::error::ObjectiveError;
use crate::metrics::{DetectionResults, MetricContext, Metrics, Predictions, Score};

crate::mean_metrics! {
    /// Accuracies of queries that are matched to an object.
    struct MatchedAccuracies {
        /// Fraction of matched queries whose most probable class is right.
        class: "detection/class_accuracy",
        /// For an object with k attributes, the fraction of them among the k most probable ones; mean over matched queries.
        attribute: "detection/attribute_accuracy",
    }
}

/// Average precision of detections, and accuracies of matched queries, by vocabulary. Each image counts once in each
/// vocabulary, however often it is recorded.
///
/// The scores of the first vocabulary are called `detection/ap` and so on, those of another one `detection/NAME/ap`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DetectionMetrics {
    vocabularies: Vec<VocabularyMetrics>,
}

/// Records of one vocabulary.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct VocabularyMetrics {
    /// Ids of images, and accuracies of their matched queries.
    matched: Vec<(u64, MatchedAccuracies)>,
    /// Categories are indices of the vocabulary.
    images: DetectionCollection,
}

impl DetectionMetrics {
    /// Records an image's detections and true objects; `false` if it was recorded before for the same vocabulary, or its boxes
    /// are not annotated.
    pub fn record_image(&mut self, objects: &[DetectedObject], target: &DetectionTarget) -> bool {
        let Some(vocabulary) = target.vocabulary else {
            return false;
        };
        self.grow(vocabulary + 1);
        self.vocabularies[vocabulary].record_image(objects, target)
    }

    /// Records class and attributes of a query that is matched to `truth`, in the image of this target that was recorded last.
    pub fn record_match(
        &mut self,
        target: &DetectionTarget,
        object: &DetectedObject,
        truth: &TargetObject,
    ) {
        let vocabulary = target.vocabulary;
        let metrics = vocabulary.and_then(|index| self.vocabularies.get_mut(index));
        if let Some(metrics) = metrics {
            metrics.record_match(object, truth);
        }
    }

    /// Has metrics of at least this many vocabularies from now on.
    fn grow(&mut self, vocabularies: usize) {
        let count = self.vocabularies.len().max(vocabularies);
        self.vocabularies.resize_with(count, Default::default);
    }
}

impl VocabularyMetrics {
    fn record_image(&mut self, objects: &[DetectedObject], target: &DetectionTarget) -> bool {
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
        let ground_truth = target.ground_truth.clone();
        let is_new = (self.images).add_image(target.image_id, ground_truth, detections);
        if is_new {
            let accuracies = MatchedAccuracies::default();
            self.matched.push((target.image_id, accuracies));
        }
        is_new
    }

    fn record_match(&mut self, object: &DetectedObject, truth: &TargetObject) {
        let Some((_, matched)) = self.matched.last_mut() else {
            return;
        };
        matched.class.record_correct(object.class == truth.class);
        if truth.attributes.is_empty() || object.attributes.is_empty() {
            return;
        }
        let mut order: Vec<usize> = (0..object.attributes.len()).collect();
        order.sort_by(|&a, &b| object.attributes[b].total_cmp(&object.attributes[a]));
        let top = &order[..truth.attributes.len().min(order.len())];
        let correct = truth.attributes.iter().filter(|a| top.contains(a)).count();
        let fraction = correct as f64 / truth.attributes.len() as f64;
        matched.attribute.record_fraction(fraction);
    }

    fn merge(&mut self, other: Self) {
        let matched = other.matched.into_iter();
        let is_new = |(image_id, _): &(u64, _)| !self.images.contains(*image_id);
        self.matched.extend(matched.filter(is_new));
        self.images.merge(other.images);
    }

    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let summary = match self.images.is_empty() {
            true => None,
            false => Some(self.images.evaluate()?),
        };
        let summary = summary.as_ref();
        let mut matched = MatchedAccuracies::default();
        for (_, of_image) in &self.matched {
            matched.merge(of_image.clone());
        }
        let mut scores = matched.scores(context)?;
        scores.extend([
            Score::higher("detection/ap", summary.and_then(|summary| summary.ap)),
            Score::higher("detection/ap50", summary.and_then(|summary| summary.ap50)),
        ]);
        Ok(scores)
    }

    fn results(&self, labels: &LabelSpace) -> DetectionResults {
        let detections = self.images.detections().map(|detection| Detection {
            category_id: labels.id(detection.category_id as usize) as u32,
            ..detection.clone()
        });
        DetectionResults {
            label_space: labels.name.clone(),
            detections: detections.collect(),
        }
    }
}

impl Metrics for DetectionMetrics {
    fn merge(&mut self, other: Self) {
        self.grow(other.vocabularies.len());
        for (metrics, other) in self.vocabularies.iter_mut().zip(other.vocabularies) {
            metrics.merge(other);
        }
    }

    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let (none, mut scores) = (VocabularyMetrics::default(), vec![]);
        for (index, labels) in context.label_spaces.iter().enumerate() {
            let metrics = self.vocabularies.get(index).unwrap_or(&none);
            for mut score in metrics.scores(context)? {
                if let Some(metric) = score.name.strip_prefix("detection/").filter(|_| index > 0) {
                    score.name = format!("detection/{}/{metric}", labels.name);
                }
                scores.push(score);
            }
        }
        Ok(scores)
    }

    fn predictions(&self, context: &MetricContext<'_>, predictions: &mut Predictions) {
        let metrics = self.vocabularies.iter().zip(context.label_spaces);
        let results = metrics.map(|(metrics, labels)| metrics.results(labels));
        predictions.detections.extend(results);
    }
}
