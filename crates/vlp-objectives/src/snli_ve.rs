//! Visual entailment (SNLI-VE): does the image entail the hypothesis, contradict it, or neither?

use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_data::{Entailment, Label};
use vlp_ops::init_weights;

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::{labeled_cross_entropy, labeled_rows};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{PaddedLabels, TargetTensors};
use crate::targets::Unit;
use crate::validate::Validate;

/// Configuration of [`SnliVe`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct SnliVeConfig {
    /// Weight of the loss; 1.
    pub weight: f64,
    /// Layers of the head; neither paper gives them.
    pub head: HeadKind,
}

impl Default for SnliVeConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            head: HeadKind::LxmertMlp,
        }
    }
}

/// A three-class head on the `[CLS]` state of hypothesis and image; classes are in the order of [`Entailment`].
#[derive(Module, Debug)]
pub struct SnliVe {
    head: ClsHead,
    #[module(skip)]
    weight: f64,
}

init_weights!(SnliVe { head; weight });

crate::mean_metrics! {
    /// Metrics of [`SnliVe`].
    pub struct SnliVeMetrics {
        /// Fraction of hypotheses that are classified correctly.
        pub accuracy: "snli_ve/accuracy",
    }
}

impl Validate for SnliVeConfig {}

impl SnliVeConfig {
    /// Builds the head for states of width `d_model`.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(&self, d_model: usize, device: &Device) -> SnliVe {
        SnliVe {
            head: self.head.init(d_model, d_model, 3, device),
            weight: self.weight,
        }
    }
}

impl SnliVe {
    /// Logits `[rows, 3]` of `[CLS]` states `[rows, d_model]` of the joint pass.
    pub fn logits(&self, cls: Tensor<2>) -> Tensor<2> {
        self.head.forward(cls)
    }
}

/// The class of each hypothesis, if it is known.
fn classes(targets: &[&Option<Entailment>]) -> impl Iterator<Item = Option<usize>> {
    let labels = targets.iter();
    labels.map(|label| label.map(|label| label as usize))
}

impl Objective for SnliVe {
    const NAME: &'static str = "snli_ve";

    /// The label, if it is known.
    type Target = Option<Entailment>;

    type Metrics = SnliVeMetrics;

    fn unit(&self) -> Unit {
        Unit::Text
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Option<Entailment>, ObjectiveError> {
        Ok(match pair.example.label {
            Some(Label::Entailment(label)) => Some(label),
            _ => None,
        })
    }

    fn target_tensors(
        &self,
        targets: &[&Option<Entailment>],
        _: usize,
        device: &Device,
    ) -> TargetTensors {
        PaddedLabels::of_rows(classes(targets), device)
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<Entailment>],
    ) -> Result<Losses, ObjectiveError> {
        let logits = self.logits(output.joint().text.cls());
        let value =
            labeled_cross_entropy(logits, output.target_tensors(Self::NAME), classes(targets));
        Ok(Losses::single(Self::NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<Entailment>],
        metrics: &mut SnliVeMetrics,
    ) -> Result<(), ObjectiveError> {
        let logits = self.logits(output.joint().text.cls());
        let (logits, labels) = labeled_rows(logits, classes(targets));
        metrics.accuracy.record_argmax(logits, &labels);
        Ok(())
    }
}
