//! Masked visual modeling (SOHO, section 3.3): which code of the visual dictionary has a masked token?

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use getset::WithSetters;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::{init_weights, is_cpu, linear_layer, log_prob_at, tied_logits};
use vlp_vision::VisualDictionary;
use vlp_vision::dictionary::CodebookUsage;

use crate::codes::Codes;
use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::loss::{cross_entropy, gather_positions, normalize_rows, tracked_zeros, zero};
use crate::metrics::{Mean, MetricContext, Metrics, Score};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::targets::Unit;
use crate::validate::{Check, RunContext, Validate};
use crate::visual_masks::{MaskSampling, VisualMask};

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

    /// Logits and codes of all masked tokens; `None` if no token is masked. Reads the codes from the device.
    fn masked_logits(&self, states: Tensor<3>, codes: &Codes) -> Option<(Tensor<2>, Vec<i32>)> {
        if codes.masked().is_empty() {
            return None;
        }
        let masked = codes.masked().iter();
        let (positions, labels): (Vec<(usize, usize)>, Vec<i32>) = masked
            .map(|token| ((token.row, token.position), token.code as i32))
            .unzip();
        let states = gather_positions(states, &positions);
        Some((self.logits(states, codes.codebook.clone()), labels))
    }

    /// Mean cross entropy of the masked tokens, `[1]`.
    fn masked_loss(&self, states: Tensor<3>, codes: &Codes) -> Tensor<1> {
        match self.masked_logits(states.clone(), codes) {
            Some((logits, labels)) => cross_entropy(logits, &labels),
            None => self.zero_loss(states, codes),
        }
    }

    /// The loss without a masked token: zero. If tokens were sampled, but are padding, its gradient is zero too, as on a GPU,
    /// which does not know.
    fn zero_loss(&self, states: Tensor<3>, codes: &Codes) -> Tensor<1> {
        if codes.labels().is_none() {
            return zero(&states.device());
        }
        let width = states.dims()[2];
        let state = states.slice(s![0..1, 0..1, ..]).reshape([1, width]);
        tracked_zeros(self.logits(state, codes.codebook.clone()))
    }

    /// [`Self::masked_loss`] without reading which tokens are masked: the others have weight 0. Returns the number of masked
    /// tokens too, `[1]`, without autodiff.
    fn weighted_loss(&self, states: Tensor<3>, codes: &Codes) -> (Tensor<1>, Tensor<1>) {
        let Some(labels) = codes.labels() else {
            let device = states.device();
            return (zero(&device), Tensor::zeros([1], &device.inner()));
        };
        let [rows, tokens, width] = states.dims();
        let states = states.reshape([rows * tokens, width]);
        let labels = labels.reshape([rows * tokens]);
        let weights = labels.clone().greater_equal_elem(0).float();
        // Along an axis, since burn adds up a whole tensor in no fixed order.
        let count = weights.clone().sum_dim(0);
        let logits = self.logits(states, codes.codebook.clone());
        let log_probs = log_prob_at(logits, labels.clamp_min(0));
        let sum = (log_probs * weights).sum_dim(0);
        let loss = sum.neg() / count.clone().clamp_min(1.0);
        (loss, count.without_autodiff())
    }
}

impl Objective for Mvm {
    const NAME: &'static str = "mvm";

    /// Nothing: the codes are known only after quantization, see [`Codes`].
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
        let states = output.joint().image.states.clone();
        let device = states.device();
        let (value, count) = match is_cpu(&device) {
            true => {
                let count = Tensor::from_floats([codes.masked().len() as f32], &device.inner());
                (self.masked_loss(states, codes), count)
            }
            false => self.weighted_loss(states, codes),
        };
        Ok(Losses {
            measured: vec![("masked_tokens", count)],
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
        let states = output.joint().image.states.clone();
        if let Some((logits, labels)) = self.masked_logits(states, codes) {
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
        for &code in codes.assignments().iter().flatten().flatten() {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::pretrain::Pretrain;
    use crate::testing::{CODES, D_MODEL, Rig};
    use crate::vision_language::VisionLanguage;

    /// Value and gradient of a loss of `states`.
    fn value_and_grad(loss: Tensor<1>, states: &Tensor<3>) -> (f32, Vec<f32>) {
        let value = loss.clone().into_scalar::<f32>();
        let grad = states.grad(&loss.backward());
        let grad = grad.unwrap_or_else(|| states.zeros_like().inner());
        (value, grad.into_data().iter().collect())
    }

    #[test]
    fn weights_select_the_masked_tokens() {
        let rig = Rig::new(&Device::flex()).unwrap();
        let heads = [MvmHead::Cosine { temperature: 0.1 }, MvmHead::Linear];
        for (case, probability) in [1.0, 0.3, 0.0].into_iter().cycle().take(12).enumerate() {
            let config = MvmConfig::default()
                .with_probability(probability)
                .with_head(heads[case % 2])
                .with_mask_sampling([MaskSampling::Sample, MaskSampling::Batch][case / 6]);
            let mvm = config.init(D_MODEL, CODES, &rig.device).unwrap();
            let (model, objectives) = (rig.model().unwrap(), Some(mvm));
            let examples = &rig.two_text_examples;
            let batch = rig.collator().collate(&objectives, examples, &rig.device);
            let batch = batch.unwrap();
            let tokens = model.image_tokens(&batch.images, 2).unwrap();
            let map = tokens.quantized.unwrap();
            // Padding: one token, every third one, all.
            let index = Tensor::<1, Int>::arange(0..16, &rig.device).unsqueeze_dim::<2>(0);
            let padding = [16, 3, 1].map(|every| {
                let is_padding = index.clone().remainder_scalar(every).equal_elem(every - 1);
                is_padding.expand(map.codes.dims())
            });
            let pretrain = Pretrain { model, objectives };
            let states = pretrain.encode(&batch).unwrap().joint.unwrap().image.states;
            let mvm = pretrain.objectives.as_ref().unwrap();
            for padding in padding {
                let codes = Codes::new(&map, padding, &batch.inputs());
                let states = Tensor::from_inner(states.clone().inner()).require_grad();
                let expected = mvm.masked_loss(states.clone(), &codes);
                let (loss, count) = mvm.weighted_loss(states.clone(), &codes);
                assert_eq!(count.into_scalar::<f32>(), codes.masked().len() as f32);
                if let Some(linear) = mvm.linear.as_ref().filter(|_| codes.labels().is_some()) {
                    // It has a gradient if all sampled tokens are padding, so that an optimizer updates it.
                    let grads = mvm.masked_loss(states.clone(), &codes).backward();
                    let grad: f32 = (linear.weight.val().grad(&grads).unwrap().abs())
                        .sum()
                        .into_scalar();
                    assert_eq!(grad == 0.0, codes.masked().is_empty());
                }
                let (expected, expected_grad) = value_and_grad(expected, &states);
                let (value, grad) = value_and_grad(loss, &states);
                // Sums of f32 in another order.
                assert!(
                    (value - expected).abs() < 1e-5,
                    "{case}: {value} {expected}"
                );
                for (grad, expected) in grad.iter().zip(&expected_grad) {
                    assert!((grad - expected).abs() < 1e-5, "{case}: {grad} {expected}");
                }
                assert_eq!(grad.len(), expected_grad.len());
            }
        }
    }
}
