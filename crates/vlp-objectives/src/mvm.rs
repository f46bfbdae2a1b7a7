//! Masked visual modelling (SOHO, section 3.3): which code of the visual dictionary stood at a masked cell?

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::{apply, tied};
use vlp_vision::dictionary::Health;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::inputs::{CellDraw, CellRule};
use crate::loss::{argmax, cross_entropy, pick};
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "mvm";
/// As `torch.nn.functional.normalize`: no row is divided by less.
const TINY: f64 = 1e-12;

/// Configuration of [`Mvm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MvmConfig {
    /// Weight of the loss; 1 in SOHO.
    pub weight: f64,
    /// Probability that a code of the picture is masked beside a text. Not known of the paper, 0.15 there after
    /// BERT's habit; 0.015 in the released configuration.
    pub probability: f64,
    /// Where the code is drawn: `sample`, a cell of the picture; `batch`, one place for all, as in the released code.
    pub cell: CellRule,
    /// How states become logits over the codes.
    pub head: MvmHead,
    /// Mask nothing beside texts of other pictures (SOHO, the paper); false in the released code.
    pub skip_mismatched: bool,
}

/// Logits of a masked cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum MvmHead {
    /// Cosine of the state and each row of the table, over a temperature. The released code has 1, with which the
    /// loss of 2048 codes cannot fall below 5.63.
    Cosine {
        /// Divides the cosine; 1 in the released code.
        temperature: f64,
    },
    /// A linear layer of its own.
    Linear,
}

impl Default for MvmConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            probability: 0.15,
            cell: CellRule::Sample,
            head: MvmHead::Cosine { temperature: 0.1 },
            skip_mismatched: true,
        }
    }
}

/// Predicts codes from image states of the joint pass.
#[derive(Module, Debug)]
pub struct Mvm {
    linear: Option<Linear>,
    #[module(skip)]
    config: MvmConfig,
}

impl MvmConfig {
    /// Builds the head for states of width `d_model` and a dictionary of `codes` rows.
    ///
    /// # Errors
    /// [`ObjectiveError::Config`] for a temperature that is not over 0.
    pub fn init(
        &self,
        d_model: usize,
        codes: usize,
        device: &Device,
    ) -> Result<Mvm, ObjectiveError> {
        if let MvmHead::Cosine { temperature } = self.head
            && !(temperature.is_finite() && temperature > 0.0)
        {
            return Err(ObjectiveError::Config {
                objective: NAME,
                key: "head.temperature",
                value: temperature.to_string(),
                hint: "use a number over 0 (1 in the released code, 0.1 say)".into(),
            });
        }
        let linear = || LinearConfig::new(d_model, codes).init(device);
        Ok(Mvm {
            linear: (self.head == MvmHead::Linear).then(linear),
            config: self.clone(),
        })
    }
}

impl Mvm {
    /// Logits `[rows, codes]` of `states` `[rows, d_model]`; no gradient reaches `table` `[codes, d_model]`.
    pub fn logits(&self, states: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
        match (&self.linear, self.config.head) {
            (Some(linear), _) => apply(linear, states),
            (None, MvmHead::Cosine { temperature }) => {
                let table = table.cast(states.dtype());
                let table = match states.device().is_autodiff() {
                    true => Tensor::from_inner(table),
                    false => table,
                };
                tied(unit(states), unit(table), None).div_scalar(temperature)
            }
            // Built with its linear layer.
            (None, MvmHead::Linear) => states,
        }
    }

    fn masked(
        &self,
        encoded: &Encoded<'_>,
    ) -> Result<Option<(Tensor<2>, Vec<i32>)>, ObjectiveError> {
        let codes = encoded.codes(NAME)?;
        let states = encoded.joint_image(NAME)?.states.clone();
        let at: Vec<(usize, usize)> = codes.masked.iter().map(|&(r, c, _)| (r, c)).collect();
        let labels = codes
            .masked
            .iter()
            .map(|&(_, _, code)| code as i32)
            .collect();
        Ok((!at.is_empty()).then(|| (self.logits(pick(states, &at), codes.table.clone()), labels)))
    }
}

/// Rows of length 1.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let norm = rows.clone().square().sum_dim(1).sqrt().clamp_min(TINY);
    rows / norm
}

impl Objective for Mvm {
    /// Nothing: the codes are known after the look-up alone.
    type Target = ();

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<(), ObjectiveError> {
        let mut rng = draft.rng(NAME);
        let keep = rng.random_bool(self.config.probability.clamp(0.0, 1.0));
        draft.cell = Some(CellDraw {
            at: rng.random(),
            keep: keep && (draft.matched || !self.config.skip_mismatched),
            rule: self.config.cell,
        });
        Ok(())
    }

    fn loss(&self, encoded: &Encoded<'_>, _targets: &[()]) -> Result<Losses, ObjectiveError> {
        let value = match self.masked(encoded)? {
            Some((logits, labels)) => cross_entropy(logits, &labels),
            None => Tensor::zeros([1], &encoded.words.words().device()),
        };
        let mut losses = Losses::one(NAME, self.config.weight, value);
        let cells = encoded.codes(NAME)?.masked.len();
        losses.report.push(("masked cells".into(), cells as f64));
        Ok(losses)
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        _targets: &[()],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        let codes = encoded.codes(NAME)?;
        for &code in codes.of_cells.iter().flatten().flatten() {
            tally.code(code, codes.dictionary);
        }
        if let Some((logits, labels)) = self.masked(encoded)? {
            for (guess, truth) in argmax(logits).into_iter().zip(labels) {
                tally.count("MVM accuracy", guess == truth as usize);
            }
        }
        Ok(())
    }
}

impl Tally {
    /// Adds a cell's code to the figures of the dictionary's use.
    pub(crate) fn code(&mut self, code: usize, dictionary: &vlp_vision::VisualDictionary) {
        let counts = &mut self.codes;
        if counts.is_empty() {
            counts.resize(dictionary.codes(), 0);
            self.restarts = dictionary.restarts();
        }
        counts[code] += 1;
    }

    /// Codes in use, dead, restarted, and their perplexity.
    pub(crate) fn dictionary(&self) -> Vec<(String, Option<f64>)> {
        if self.codes.is_empty() {
            return vec![];
        }
        let health = Health::of(&self.codes);
        [
            ("dictionary codes in use", health.used as f64),
            ("dictionary dead codes", health.dead() as f64),
            ("dictionary perplexity", health.perplexity),
            ("dictionary restarts", self.restarts as f64),
        ]
        .map(|(name, value)| (name.to_string(), Some(value)))
        .to_vec()
    }
}
