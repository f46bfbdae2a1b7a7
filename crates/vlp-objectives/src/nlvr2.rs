//! NLVR2: is a statement true of two images? Two joint passes, whose `[CLS]` states are concatenated.

use std::collections::HashSet;

use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_data::Label;
use vlp_eval::nlvr2::{Nlvr2Label, nlvr2};
use vlp_ops::init_weights;

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::{argmax, labeled_cross_entropy};
use crate::metrics::{MetricContext, Metrics, Predictions, Score};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{PaddedLabels, TargetTensors};
use crate::targets::Unit;
use crate::validate::Validate;

/// Configuration of [`Nlvr2`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct Nlvr2Config {
    /// Weight of the loss; 1.
    pub weight: f64,
    /// `lxmert_mlp` for E2E-VLP, `linear` or `soho_mlp` for SOHO, whose head is unknown.
    pub head: HeadKind,
}

impl Default for Nlvr2Config {
    fn default() -> Self {
        Self {
            weight: 1.0,
            head: HeadKind::LxmertMlp,
        }
    }
}

/// Two classes on the concatenated `[CLS]` states of the left and the right image.
#[derive(Module, Debug)]
pub struct Nlvr2 {
    head: ClsHead,
    #[module(skip)]
    weight: f64,
}

init_weights!(Nlvr2 { head; weight });

impl Validate for Nlvr2Config {}

impl Nlvr2Config {
    /// Builds the head for states of width `d_model`.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(&self, d_model: usize, device: &Device) -> Nlvr2 {
        Nlvr2 {
            head: self.head.init(2 * d_model, d_model, 2, device),
            weight: self.weight,
        }
    }
}

/// A statement about two images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nlvr2Target {
    /// Whether it is true; `None` if unknown.
    pub truth: Option<bool>,
    /// `split-set-pair-sentence`, or another unique string.
    pub identifier: String,
}

impl Nlvr2 {
    /// Logits `[statements, 2]` of `[CLS]` states `[2 * statements, d_model]`, the left image of each statement first;
    /// class 1 = true.
    pub fn logits(&self, cls: Tensor<2>) -> Tensor<2> {
        let [rows, width] = cls.dims();
        self.head.forward(cls.reshape([rows / 2, 2 * width]))
    }
}

/// The class of each statement, if it is known.
fn classes(targets: &[&Nlvr2Target]) -> impl Iterator<Item = Option<usize>> {
    targets.iter().map(|target| target.truth.map(usize::from))
}

impl Objective for Nlvr2 {
    const NAME: &'static str = "nlvr2";

    type Target = Nlvr2Target;

    type Metrics = Nlvr2Metrics;

    fn unit(&self) -> Unit {
        Unit::TextGroup(2)
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Nlvr2Target, ObjectiveError> {
        let record = pair.example.record.as_ref();
        Ok(Nlvr2Target {
            truth: match pair.example.label {
                Some(Label::Truth(truth)) => Some(truth),
                _ => None,
            },
            identifier: match record {
                Some(record) => record.id.clone(),
                // A unique identifier without a `-`, so that it is not grouped with others.
                None => format!("sample {}", pair.example.index),
            },
        })
    }

    fn target_tensors(&self, targets: &[&Nlvr2Target], _: usize, device: &Device) -> TargetTensors {
        PaddedLabels::of_rows(classes(targets), device)
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Nlvr2Target],
    ) -> Result<Losses, ObjectiveError> {
        let logits = self.logits(output.joint().text.cls());
        let value =
            labeled_cross_entropy(logits, output.target_tensors(Self::NAME), classes(targets));
        Ok(Losses::single(Self::NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Nlvr2Target],
        metrics: &mut Nlvr2Metrics,
    ) -> Result<(), ObjectiveError> {
        let predictions = argmax(self.logits(output.joint().text.cls()));
        for (prediction, target) in predictions.into_iter().zip(targets) {
            metrics.record(&target.identifier, target.truth, prediction == 1);
        }
        Ok(())
    }
}

/// Metrics of [`Nlvr2`]: accuracy, and the consistency of predictions for one sentence.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Nlvr2Metrics {
    identifiers: HashSet<String>,
    predictions: Vec<Nlvr2Label>,
    /// Whether the statement of each prediction is true; `None` if unknown.
    truths: Vec<Option<bool>>,
}

impl Nlvr2Metrics {
    /// Records a prediction, unless the identifier was recorded before. It is scored only if the truth is known.
    pub fn record(&mut self, identifier: &str, truth: Option<bool>, prediction: bool) {
        if self.identifiers.insert(identifier.into()) {
            self.predictions.push(Nlvr2Label {
                identifier: identifier.into(),
                label: prediction,
            });
            self.truths.push(truth);
        }
    }
}

impl Metrics for Nlvr2Metrics {
    fn merge(&mut self, other: Self) {
        for (prediction, truth) in other.predictions.iter().zip(other.truths) {
            self.record(&prediction.identifier, truth, prediction.label);
        }
    }

    fn scores(&self, _context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let predictions = self.predictions.iter().zip(&self.truths);
        let labeled = predictions.filter_map(|(prediction, truth)| {
            let truth = Nlvr2Label {
                label: (*truth)?,
                ..prediction.clone()
            };
            Some((truth, prediction.clone()))
        });
        let (truths, predictions): (Vec<_>, Vec<_>) = labeled.unzip();
        let scores = match truths.is_empty() {
            true => None,
            false => Some(nlvr2(&truths, &predictions)?),
        };
        let scores = scores.as_ref();
        Ok(vec![
            Score::higher("nlvr2/accuracy", scores.map(|scores| scores.accuracy)),
            Score::higher("nlvr2/consistency", scores.map(|scores| scores.consistency)),
        ])
    }

    fn predictions(&self, _context: &MetricContext<'_>, predictions: &mut Predictions) {
        predictions
            .statements
            .extend(self.predictions.iter().cloned());
    }
}
