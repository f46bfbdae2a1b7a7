//! Image-text matching: does this text belong to this image? (E2E-VLP; UNITER)

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use getset::WithSetters;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::{init_weights, linear_layer, log_prob_at};

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::loss::cross_entropy;
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{TargetTensors, ints};
use crate::targets::Unit;
use crate::validate::{Check, RunContext, Validate};

/// Configuration of [`Itm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct ItmConfig {
    /// Weight of the loss; 1 in E2E-VLP.
    pub weight: f64,
    /// Fraction of pairs, in `0..=1`, whose text is replaced by one of another image; 0.5 in E2E-VLP.
    pub negative_fraction: f64,
    /// Replace exactly this fraction of an image's texts (SOHO: two of four) instead of each with this probability.
    pub balanced: bool,
    /// Give the head a bias; false in SOHO's released code.
    pub bias: bool,
}

impl Default for ItmConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            negative_fraction: 0.5,
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
    negative_fraction: f64,
    #[module(skip)]
    balanced: bool,
}

init_weights!(Itm { head; weight, negative_fraction, balanced });

crate::mean_metrics! {
    /// Metrics of [`Itm`].
    pub struct ItmMetrics {
        /// Fraction of pairs that are classified correctly.
        pub accuracy: "itm/accuracy",
    }
}

impl Validate for ItmConfig {
    fn validate(&self, check: &Check, run: &RunContext) -> Result<(), ObjectiveError> {
        let (key, negatives) = ("negative_fraction", self.negative_fraction);
        check.fraction(key, negatives)?;
        let texts = run.texts_per_image;
        if self.balanced && !run.all_pairs && (negatives * texts as f64).fract() != 0.0 {
            let hint = format!(
                "of data.texts_per_image = {texts} that is not a whole number of texts: use another fraction, or objectives.itm.balanced = false"
            );
            return check.fail(key, negatives, hint);
        }
        Ok(())
    }
}

impl ItmConfig {
    /// Builds the head for states of width `d_model`.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(&self, d_model: usize, device: &Device) -> Itm {
        Itm {
            head: LinearConfig::new(d_model, 2)
                .with_bias(self.bias)
                .init(device),
            weight: self.weight,
            negative_fraction: self.negative_fraction.clamp(0.0, 1.0),
            balanced: self.balanced,
        }
    }
}

impl Itm {
    /// Logits `[rows, 2]` of `[CLS]` states `[rows, d_model]` of the joint pass; class 1 = match.
    pub fn logits(&self, cls: Tensor<2>) -> Tensor<2> {
        linear_layer(&self.head, cls)
    }
}

impl Objective for Itm {
    const NAME: &'static str = "itm";

    /// Whether the text belongs to the image.
    type Target = bool;

    type Metrics = ItmMetrics;

    fn unit(&self) -> Unit {
        Unit::Text
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<bool, ObjectiveError> {
        if pair.fixed {
            return Ok(pair.matched);
        }
        let caption = pair.negative_caption();
        // A data set of one image has no negative caption, and a caption of another image may equal one of this image:
        // such pairs stay positive.
        let is_negative =
            !caption.is_empty() && !pair.example.captions.iter().any(|c| c == caption);
        let replace = match self.balanced {
            // The last texts of an image.
            true => {
                let texts = pair.example.texts.len();
                pair.text_index >= texts - (self.negative_fraction * texts as f64).round() as usize
            }
            false => pair.rng(Self::NAME).random_bool(self.negative_fraction),
        };
        if is_negative && replace {
            pair.text = pair.tokenizer.encode(caption, pair.max_text_len);
            pair.matched = false;
        }
        Ok(pair.matched)
    }

    fn target_tensors(&self, targets: &[&bool], _: usize, device: &Device) -> TargetTensors {
        let labels: Vec<i32> = targets.iter().map(|&&matched| i32::from(matched)).collect();
        vec![Tensor::<1, Int>::from_ints(labels.as_slice(), device).into()].into()
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&bool],
    ) -> Result<Losses, ObjectiveError> {
        let logits = self.logits(output.joint().text.cls());
        let tensors = output.target_tensors(Self::NAME);
        let value = match tensors.first() {
            Some(labels) => {
                let labels = ints(labels.tensor::<1, Int>(), &logits.device());
                log_prob_at(logits, labels).mean_dim(0).neg()
            }
            None => {
                let labels = targets.iter().map(|&&matched| i32::from(matched));
                cross_entropy(logits, &labels.collect::<Vec<_>>())
            }
        };
        Ok(Losses::single(Self::NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&bool],
        metrics: &mut ItmMetrics,
    ) -> Result<(), ObjectiveError> {
        let labels: Vec<i32> = targets.iter().map(|&&matched| i32::from(matched)).collect();
        let logits = self.logits(output.joint().text.cls());
        metrics.accuracy.record_argmax(logits, &labels);
        Ok(())
    }
}
