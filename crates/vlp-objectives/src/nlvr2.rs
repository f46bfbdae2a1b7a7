//! NLVR2: is a statement true of two pictures? Two passes, two `[CLS]` states joined.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_data::Label;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::{argmax, cross_entropy};
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "nlvr2";

/// Configuration of [`Nlvr2`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nlvr2Config {
    /// Weight of the loss; 1.
    pub weight: f64,
    /// `norm` for E2E-VLP, `linear` or `wide` for SOHO, whose head is not known.
    pub head: HeadKind,
}

impl Default for Nlvr2Config {
    fn default() -> Self {
        Self {
            weight: 1.0,
            head: HeadKind::Norm,
        }
    }
}

/// Two classes on the joined `[CLS]` states of the left and the right picture.
#[derive(Module, Debug)]
pub struct Nlvr2 {
    head: ClsHead,
    #[module(skip)]
    weight: f64,
}

impl Nlvr2Config {
    /// Builds the head for states of width `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> Nlvr2 {
        Nlvr2 {
            head: self.head.init(2 * d_model, d_model, 2, device),
            weight: self.weight,
        }
    }
}

/// A statement's truth; the rows of the joint pass come in pairs, left and right, with the same target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nlvr2Target {
    /// Whether it is true; `None` where it is not known, or the example has one picture.
    pub truth: Option<bool>,
    /// Whether the example has two pictures.
    pub pair: bool,
    /// `split-set-pair-sentence`.
    pub identifier: String,
}

impl Nlvr2 {
    /// Logits `[pairs, 2]`, class 1 = true.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`] where the rows are no pairs.
    pub fn logits(&self, encoded: &Encoded<'_>) -> Result<Tensor<2>, ObjectiveError> {
        let cls = encoded.cls(NAME)?;
        let [rows, width] = cls.dims();
        if !rows.is_multiple_of(2) {
            return Err(ObjectiveError::Missing {
                objective: NAME,
                what: "examples of two pictures each (data.task = \"nlvr2\")",
            });
        }
        Ok(self.head.forward(cls.reshape([rows / 2, 2 * width])))
    }

    fn known(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Nlvr2Target],
    ) -> Result<Option<(Tensor<2>, Vec<i32>)>, ObjectiveError> {
        if targets.iter().any(|target| !target.pair) {
            return Err(ObjectiveError::Missing {
                objective: NAME,
                what: "examples of two pictures each (data.task = \"nlvr2\")",
            });
        }
        let (mut rows, mut labels) = (vec![], vec![]);
        for (row, target) in targets.iter().step_by(2).enumerate() {
            if let Some(truth) = target.truth {
                rows.push(row as i32);
                labels.push(i32::from(truth));
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let logits = self.logits(encoded)?;
        let rows = Tensor::from_ints(rows.as_slice(), &logits.device());
        Ok(Some((logits.select(0, rows), labels)))
    }
}

impl Objective for Nlvr2 {
    type Target = Nlvr2Target;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<Nlvr2Target, ObjectiveError> {
        let example = draft.example;
        Ok(Nlvr2Target {
            truth: match example.label {
                Some(Label::Truth(truth)) => Some(truth),
                _ => None,
            },
            pair: example.second.is_some(),
            identifier: example
                .record
                .as_ref()
                .map_or(String::new(), |r| r.id.clone()),
        })
    }

    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Nlvr2Target],
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
        targets: &[Nlvr2Target],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        if let Some((logits, labels)) = self.known(encoded, targets)? {
            let known = targets.iter().step_by(2).filter(|t| t.truth.is_some());
            for ((guess, label), target) in argmax(logits).into_iter().zip(labels).zip(known) {
                tally.statement(&target.identifier, label == 1, guess == 1);
            }
        }
        Ok(())
    }
}
