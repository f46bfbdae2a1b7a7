//! Masked visual modeling (SOHO, section 3.3): which code of the visual dictionary has a masked token?

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use getset::WithSetters;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::{init_weights, linear_layer, tied_logits};
use vlp_vision::VisualDictionary;
use vlp_vision::dictionary::CodebookUsage;

use crate::codes::Codes;
use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::inputs::{MaskSampling, VisualMask};
use crate::loss::{cross_entropy, gather_positions, normalize_rows, zero};
use crate::metrics::{Mean, MetricContext, Metrics, Score};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::targets::Unit;
use crate::validate::{Check, RunContext, Validate};

/// Configuration of [`Mvm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct MvmConfig {
    /// Weight of the loss; 1 in SOHO.
    pub weight: f64,
    /// Probability that a code of the image is masked for a text, in `0..=1`. The paper does not give it, the default is
    /// 0.15 as in BERT; 0.015 in the released configuration.
    pub probability: f64,
    /// How the code is sampled: `sample`, from the tokens of each image; `batch`, at one position for the whole batch, as in
    /// the released code.
    pub mask_sampling: MaskSampling,
    /// How states become logits over the codes.
    pub head: MvmHead,
    /// Mask nothing for texts of other images (SOHO, the paper); false in the released code.
    pub skip_negatives: bool,
}

/// Logits of a masked token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum MvmHead {
    /// Cosine similarity of the state and each code, divided by a temperature. In the released code it is 1, with which
    /// the loss over 2048 codes cannot fall below 5.63.
    Cosine {
        /// Divides the cosine; 1 in the released code.
        temperature: f64,
    },
    /// A linear layer.
    Linear,
}

impl Default for MvmConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            probability: 0.15,
            mask_sampling: MaskSampling::Sample,
            head: MvmHead::Cosine { temperature: 0.1 },
            skip_negatives: true,
        }
    }
}

/// Predicts codes from the image tokens of the joint pass.
#[derive(Module, Debug)]
pub struct Mvm {
    linear: Option<Linear>,
    #[module(skip)]
    config: MvmConfig,
}

init_weights!(Mvm { linear; config });

impl Validate for MvmConfig {
    fn validate(&self, check: &Check, run: &RunContext) -> Result<(), ObjectiveError> {
        check.fraction("probability", self.probability)?;
        let hint = "needs a visual dictionary: set model.quantizer (the soho presets have one), or switch it off with objectives.mvm=off";
        check.needs(run.has_dictionary, hint)
    }
}

impl MvmConfig {
    /// Builds the head for states of width `d_model` and a dictionary of `codes` codes.
    ///
    /// # Errors
    /// [`ObjectiveError::Config`] for a temperature that is not above 0.
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
                objective: Mvm::NAME,
                key: "head.temperature",
                value: temperature.to_string(),
                hint: "use a number above 0 (1 in the released code, for example 0.1)".into(),
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
    /// Logits `[rows, codes]` of `states` `[rows, d_model]`; no gradient reaches `codebook` `[codes, d_model]`.
    pub fn logits(&self, states: Tensor<2>, codebook: Tensor<2>) -> Tensor<2> {
        match (&self.linear, self.config.head) {
            (Some(linear), _) => linear_layer(linear, states),
            (None, MvmHead::Cosine { temperature }) => {
                let codebook = codebook.cast(states.dtype());
                let codebook = match states.device().is_autodiff() {
                    true => Tensor::from_inner(codebook),
                    false => codebook,
                };
                tied_logits(normalize_rows(states), normalize_rows(codebook), None)
                    .div_scalar(temperature)
            }
            // `MvmConfig::init` builds the linear layer.
            (None, MvmHead::Linear) => states,
        }
    }

    /// Logits and codes of all masked tokens; `None` if no token is masked.
    fn masked_logits(
        &self,
        output: &EncoderOutput<'_>,
        codes: &Codes,
    ) -> Option<(Tensor<2>, Vec<i32>)> {
        if codes.masked.is_empty() {
            return None;
        }
        let masked = codes.masked.iter();
        let (positions, labels): (Vec<(usize, usize)>, Vec<i32>) = masked
            .map(|token| ((token.row, token.position), token.code as i32))
            .unzip();
        let states = gather_positions(output.joint().image.states.clone(), &positions);
        Some((self.logits(states, codes.codebook.clone()), labels))
    }
}

impl Objective for Mvm {
    const NAME: &'static str = "mvm";

    /// Nothing: the codes are known only after quantization, see [`Codes::masked`].
    type Target = ();

    type Metrics = MvmMetrics;

    fn unit(&self) -> Unit {
        Unit::Text
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<(), ObjectiveError> {
        let mut rng = pair.rng(Self::NAME);
        let active = rng.random_bool(self.config.probability.clamp(0.0, 1.0));
        pair.visual_mask = Some(VisualMask {
            position: rng.random(),
            active: active && (pair.matched || !self.config.skip_negatives),
            sampling: self.config.mask_sampling,
        });
        Ok(())
    }

    fn loss(&self, output: &EncoderOutput<'_>, _targets: &[&()]) -> Result<Losses, ObjectiveError> {
        let codes = output.codes(Self::NAME)?;
        let value = match self.masked_logits(output, codes) {
            Some((logits, labels)) => cross_entropy(logits, &labels),
            None => zero(&output.joint().image.states.device()),
        };
        Ok(Losses {
            diagnostics: vec![("masked_tokens", codes.masked.len() as f64)],
            ..Losses::single(Self::NAME, self.config.weight, value)
        })
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        _targets: &[&()],
        metrics: &mut MvmMetrics,
    ) -> Result<(), ObjectiveError> {
        let codes = output.codes(Self::NAME)?;
        if let Some(dictionary) = output.parts.dictionary {
            metrics.record_codes(codes, dictionary);
        }
        if let Some((logits, labels)) = self.masked_logits(output, codes) {
            metrics.accuracy.record_argmax(logits, &labels);
        }
        Ok(())
    }
}

/// Metrics of [`Mvm`], including the usage of the dictionary's codes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MvmMetrics {
    /// Fraction of masked tokens whose most probable code is right.
    pub accuracy: Mean,
    /// How often each code was assigned; empty without records.
    code_counts: Vec<u64>,
    restarts: u64,
}

impl MvmMetrics {
    /// Counts the assignments of a batch.
    pub fn record_codes(&mut self, codes: &Codes, dictionary: &VisualDictionary) {
        if self.code_counts.is_empty() {
            self.code_counts.resize(dictionary.codes(), 0);
            self.restarts = dictionary.restarts();
        }
        for &code in codes.assignments.iter().flatten().flatten() {
            self.code_counts[code] += 1;
        }
    }
}

impl Metrics for MvmMetrics {
    fn merge(&mut self, other: Self) {
        self.accuracy.merge(other.accuracy);
        let codes = self.code_counts.len().max(other.code_counts.len());
        self.code_counts.resize(codes, 0);
        for (count, added) in self.code_counts.iter_mut().zip(other.code_counts) {
            *count += added;
        }
        self.restarts = self.restarts.max(other.restarts);
    }

    fn scores(&self, _context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let recorded = !self.code_counts.is_empty();
        let usage = CodebookUsage::from_counts(&self.code_counts);
        let dictionary = |name: &str, value: f64| {
            Score::diagnostic(format!("dictionary/{name}"), recorded.then_some(value))
        };
        Ok(vec![
            Score::higher("mvm/accuracy", self.accuracy.value()),
            dictionary("codes_in_use", usage.used as f64),
            dictionary("dead_codes", usage.dead_codes() as f64),
            dictionary("perplexity", usage.perplexity),
            dictionary("restarts", self.restarts as f64),
        ])
    }
}
