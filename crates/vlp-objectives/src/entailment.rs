//! Visual entailment (SNLI-VE): does the picture show the hypothesis to be false, true, or does it not tell?

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_data::{Entailment, Label};

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::{argmax, cross_entropy};
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "snli_ve";

/// Configuration of [`SnliVe`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnliVeConfig {
    /// Weight of the loss; 1.
    pub weight: f64,
    /// Layers of the head; not known of either paper.
    pub head: HeadKind,
}

impl Default for SnliVeConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            head: HeadKind::Norm,
        }
    }
}

/// Three classes on the `[CLS]` state of hypothesis and picture; in the order of [`Entailment`].
#[derive(Module, Debug)]
pub struct SnliVe {
    head: ClsHead,
    #[module(skip)]
    weight: f64,
}

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
    /// Logits `[rows, 3]`.
    pub fn logits(&self, encoded: &Encoded<'_>) -> Result<Tensor<2>, ObjectiveError> {
        Ok(self.head.forward(encoded.cls(NAME)?))
    }

    fn known(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Option<Entailment>],
    ) -> Result<Option<(Tensor<2>, Vec<i32>)>, ObjectiveError> {
        let known = targets.iter().enumerate();
        let (rows, labels): (Vec<i32>, Vec<i32>) = known
            .filter_map(|(row, label)| Some((row as i32, (*label)? as i32)))
            .unzip();
        if rows.is_empty() {
            return Ok(None);
        }
        let logits = self.logits(encoded)?;
        let rows = Tensor::from_ints(rows.as_slice(), &logits.device());
        Ok(Some((logits.select(0, rows), labels)))
    }
}

impl Objective for SnliVe {
    /// The label, where it is known.
    type Target = Option<Entailment>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<Option<Entailment>, ObjectiveError> {
        Ok(match draft.example.label {
            Some(Label::Entailment(label)) => Some(label),
            _ => None,
        })
    }

    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Option<Entailment>],
    ) -> Result<Losses, ObjectiveError> {
        let value = match self.known(encoded, targets)? {
            Some((logits, labels)) => cross_entropy(logits, &labels),
            None => Tensor::zeros([1], &encoded.words.words().device()),
        };
        Ok(Losses::one(NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Option<Entailment>],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        if let Some((logits, labels)) = self.known(encoded, targets)? {
            for (guess, label) in argmax(logits).into_iter().zip(labels) {
                tally.count("SNLI-VE accuracy", guess as i32 == label);
            }
        }
        Ok(())
    }
}
