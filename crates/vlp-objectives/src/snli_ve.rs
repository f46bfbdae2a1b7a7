//! Visual entailment (SNLI-VE): does the image entail the hypothesis, contradict it, or neither?

use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_data::{Entailment, Label};
use vlp_ops::init_weights;

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::{cross_entropy, labeled_rows};
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

    fn labeled_logits(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<Entailment>],
    ) -> (Tensor<2>, Vec<i32>) {
        let logits = self.logits(output.joint().text.cls());
        labeled_rows(
            logits,
            targets
                .iter()
                .map(|label| label.map(|label| label as usize)),
        )
    }
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
        let labels = targets.iter().enumerate();
        let labels =
            labels.filter_map(|(row, target)| Some((row, target.map(|label| label as usize)?)));
        PaddedLabels::values(&labels.collect::<Vec<_>>(), device).into()
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<Entailment>],
    ) -> Result<Losses, ObjectiveError> {
        let tensors = output.target_tensors(Self::NAME);
        let device = output.joint().text.states.device();
        let value = match PaddedLabels::from_values(tensors, &device) {
            Some(labels) => {
                let logits = self.logits(output.joint().text.cls());
                labels.cross_entropy(labels.select(logits))
            }
            None => {
                let (logits, labels) = self.labeled_logits(output, targets);
                cross_entropy(logits, &labels)
            }
        };
        Ok(Losses::single(Self::NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<Entailment>],
        metrics: &mut SnliVeMetrics,
    ) -> Result<(), ObjectiveError> {
        let (logits, labels) = self.labeled_logits(output, targets);
        metrics.accuracy.record_argmax(logits, &labels);
        Ok(())
    }
}
