//! Validation metrics.

use burn::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vlp_data::LabelSpace;
use vlp_eval::coco_ap;
use vlp_eval::nlvr2::Nlvr2Label;
use vlp_eval::results::CaptionResult;
use vlp_eval::vqa::VqaResult;
use vlp_text::WordPieceTokenizer;

use crate::error::ObjectiveError;
use crate::loss::argmax;

/// Whether higher or lower values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Higher values are better.
    Higher,
    /// Lower values are better.
    Lower,
    /// Neither: the metric describes a model and does not rank it.
    Diagnostic,
}

/// Value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Path of the metric, such as `mlm/accuracy`.
    pub name: String,
    /// The value; `None` if the records do not define it.
    pub value: Option<f64>,
    /// Whether higher or lower values are better.
    pub direction: Direction,
}

impl Score {
    /// A score for which higher values are better.
    pub fn higher(name: impl Into<String>, value: Option<f64>) -> Self {
        Self {
            name: name.into(),
            value,
            direction: Direction::Higher,
        }
    }

    /// A score for which lower values are better.
    pub fn lower(name: impl Into<String>, value: Option<f64>) -> Self {
        Self {
            direction: Direction::Lower,
            ..Self::higher(name, value)
        }
    }

    /// A score that does not rank models.
    pub fn diagnostic(name: impl Into<String>, value: Option<f64>) -> Self {
        Self {
            direction: Direction::Diagnostic,
            ..Self::higher(name, value)
        }
    }
}

/// What metrics need to turn recorded ids into text and labels.
#[derive(Debug, Clone, Copy)]
pub struct MetricContext<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a WordPieceTokenizer,
    /// Names and ids of the data's classes: those that detection has vocabularies for, in their order.
    pub label_spaces: &'a [LabelSpace],
}

/// Detections of one vocabulary.
#[derive(Debug, Clone, Default)]
pub struct DetectionResults {
    /// Name of the label space.
    pub label_space: String,
    /// Detections, by descending score within an image; categories are the data set's ids.
    pub detections: Vec<coco_ap::Detection>,
}

/// Predictions on validation examples in the formats of the official evaluation tools.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Predictions {
    /// Answers to questions that have an official id.
    pub answers: Vec<VqaResult>,
    /// Number of answers that result files cannot have, because the ids of their questions are not numbers.
    pub answers_without_id: usize,
    /// One caption per image.
    pub captions: Vec<CaptionResult>,
    /// Detections of each label space of the [`MetricContext`], in its order; empty without detection.
    pub detections: Vec<DetectionResults>,
    /// NLVR2 predictions.
    pub statements: Vec<Nlvr2Label>,
}

/// Records of validation batches, and the scores computed from them. Each batch has its own metrics, which may come from
/// another process: their serialized form must preserve all records exactly. They are merged in the order of the batches.
pub trait Metrics: Serialize + DeserializeOwned {
    /// Adds the records of a later part of the same data.
    fn merge(&mut self, other: Self);

    /// The scores. Their names do not depend on what was recorded: an undefined score has no value.
    ///
    /// # Errors
    /// [`ObjectiveError::Eval`] for records that cannot be scored.
    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError>;

    /// Adds the recorded predictions that have an official format.
    fn predictions(&self, context: &MetricContext<'_>, predictions: &mut Predictions) {
        let _ = (context, predictions);
    }
}

/// No metrics.
impl Metrics for () {
    fn merge(&mut self, (): Self) {}

    fn scores(&self, _context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        Ok(vec![])
    }
}

/// Metrics of an objective that can be switched off.
impl<M: Metrics> Metrics for Option<M> {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Some(metrics), Some(other)) => metrics.merge(other),
            (metrics @ None, other) => *metrics = other,
            (Some(_), None) => {}
        }
    }

    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        self.as_ref()
            .map_or(Ok(vec![]), |metrics| metrics.scores(context))
    }

    fn predictions(&self, context: &MetricContext<'_>, predictions: &mut Predictions) {
        if let Some(metrics) = self {
            metrics.predictions(context, predictions);
        }
    }
}

/// A mean of values in `0..=1`, such as an accuracy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Records a prediction that is right or wrong.
    pub fn record_correct(&mut self, correct: bool) {
        self.record_fraction(f64::from(u8::from(correct)));
    }

    /// Records a prediction that is partially right, to a degree in `0..=1`.
    pub fn record_fraction(&mut self, fraction: f64) {
        self.sum += fraction;
        self.count += 1;
    }

    /// Records for each row of `logits` `[rows, classes]` whether the largest logit is that of its label. Without labels,
    /// nothing is recorded.
    pub fn record_argmax(&mut self, logits: Tensor<2>, labels: &[i32]) {
        if labels.is_empty() {
            return;
        }
        for (class, &label) in argmax(logits).into_iter().zip(labels) {
            self.record_correct(class == label as usize);
        }
    }

    /// Adds the values of another mean.
    pub fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    /// The mean; `None` without values.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Defines metrics that are up to 16 [`Mean`]s, each with the path of its score. Higher values are better.
///
/// ```
/// vlp_objectives::mean_metrics! {
///     /// Metrics of an objective called `color`.
///     pub struct ColorMetrics {
///         /// Fraction of objects whose color is right.
///         pub accuracy: "color/accuracy",
///     }
/// }
/// let mut metrics = ColorMetrics::default();
/// metrics.accuracy.record_correct(true);
/// ```
#[macro_export]
macro_rules! mean_metrics {
    (
        $(#[$meta:meta])* $visibility:vis struct $metrics:ident {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $name:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default)]
        $visibility struct $metrics {
            $($(#[$field_meta])* $field_visibility $field: $crate::metrics::Mean),+
        }

        $crate::serialize_as_tuple!($metrics { $($field),+ });

        impl $crate::Metrics for $metrics {
            fn merge(&mut self, other: Self) {
                $(self.$field.merge(other.$field);)+
            }

            fn scores(
                &self,
                _context: &$crate::MetricContext<'_>,
            ) -> Result<Vec<$crate::Score>, $crate::ObjectiveError> {
                Ok(vec![$($crate::Score::higher($name, self.$field.value())),+])
            }
        }
    };
}

/// Implements serde's traits for a struct as for the tuple of its fields, in crates that do not depend on serde.
#[doc(hidden)]
#[macro_export]
macro_rules! serialize_as_tuple {
    ($metrics:ident { $($field:ident),+ }) => {
        impl $crate::serde::Serialize for $metrics {
            fn serialize<S: $crate::serde::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                $crate::serde::Serialize::serialize(&($(&self.$field,)+), serializer)
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $metrics {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let ($($field,)+) = $crate::serde::Deserialize::deserialize(deserializer)?;
                Ok(Self { $($field),+ })
            }
        }
    };
}
