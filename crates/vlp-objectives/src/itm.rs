//! Image-text matching: does this text belong to this picture? (E2E-VLP; UNITER)

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::apply;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::loss::{argmax, cross_entropy};
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "itm";

/// Configuration of [`Itm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItmConfig {
    /// Weight of the loss; 1 in E2E-VLP.
    pub weight: f64,
    /// Share of pairs whose text is replaced by one of another picture; 0.5 in E2E-VLP.
    pub mismatch: f64,
    /// Replace exactly this share of a picture's texts (SOHO: two of four) instead of each with this probability.
    pub balanced: bool,
    /// Give the head a bias; false in SOHO's released code.
    pub bias: bool,
}

impl Default for ItmConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            mismatch: 0.5,
            balanced: false,
            bias: true,
        }
    }
}

/// A two-class head on the `[CLS]` state of the joint pass.
#[derive(Module, Debug)]
pub struct Itm {
    head: Linear,
    #[module(skip)]
    weight: f64,
    #[module(skip)]
    mismatch: f64,
    #[module(skip)]
    balanced: bool,
}

impl ItmConfig {
    /// Builds the head for states of width `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> Itm {
        Itm {
            head: LinearConfig::new(d_model, 2)
                .with_bias(self.bias)
                .init(device),
            weight: self.weight,
            mismatch: self.mismatch.clamp(0.0, 1.0),
            balanced: self.balanced,
        }
    }
}

impl Itm {
    /// Logits `[batch, 2]`, class 1 = match.
    pub fn logits(&self, encoded: &Encoded<'_>) -> Result<Tensor<2>, ObjectiveError> {
        Ok(self.classify(encoded.cls(NAME)?))
    }

    /// Logits `[rows, 2]` of `[CLS]` states `[rows, d_model]`.
    pub fn classify(&self, states: Tensor<2>) -> Tensor<2> {
        apply(&self.head, states)
    }
}

impl Objective for Itm {
    /// Whether the text belongs to the picture.
    type Target = bool;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<bool, ObjectiveError> {
        if draft.paired {
            return Ok(draft.matched);
        }
        let other = draft.distractor();
        // A data set of one picture has no text of another one: its pairs stay matched. So do pairs whose
        // foreign text happens to be one of the picture's own.
        let foreign = !other.is_empty() && !draft.example.captions.iter().any(|own| own == other);
        let replace = match self.balanced {
            // The last texts of a picture; the first ones stay its own.
            true => {
                let texts = draft.example.texts.len();
                draft.number >= texts - (self.mismatch * texts as f64).round() as usize
            }
            false => draft.rng(NAME).random_bool(self.mismatch),
        };
        if foreign && replace {
            draft.text = draft.pieces.encode(other, draft.max_len);
            draft.matched = false;
        }
        Ok(draft.matched)
    }

    fn loss(&self, encoded: &Encoded<'_>, targets: &[bool]) -> Result<Losses, ObjectiveError> {
        let labels: Vec<i32> = targets.iter().map(|&m| i32::from(m)).collect();
        Ok(Losses::one(
            NAME,
            self.weight,
            cross_entropy(self.logits(encoded)?, &labels),
        ))
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[bool],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        for (guess, &truth) in argmax(self.logits(encoded)?).into_iter().zip(targets) {
            tally.count("ITM accuracy", (guess == 1) == truth);
        }
        Ok(())
    }
}
