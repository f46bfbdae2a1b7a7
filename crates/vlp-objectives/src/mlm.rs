//! Masked language modeling: BERT's masking, predicted from the rest of the text and the image.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::softmax;
use getset::WithSetters;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, gelu, init_weights, linear_layer, tied_logits};

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::loss::{cross_entropy, gather_positions, zero};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{PaddedLabels, TargetTensors};
use crate::targets::Unit;
use crate::validate::{Check, RunContext, Validate};

/// Configuration of [`Mlm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct MlmConfig {
    /// Weight of the loss; 1 in E2E-VLP.
    pub weight: f64,
    /// Probability that a token is chosen, in `0..=1`; 0.15 in BERT.
    pub probability: f64,
    /// Choose whole words instead of tokens; false in BERT (2018).
    pub whole_word: bool,
    /// Choose at least one token of every text that has one; false in BERT.
    pub at_least_one: bool,
    /// Predict nothing for texts of other images; true in SOHO's paper, false in its released code.
    pub skip_negatives: bool,
    /// Layers before the token embedding.
    #[serde(default)]
    pub head: MlmHead,
}

/// How states become logits over the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlmHead {
    /// Linear, GELU, layer norm, then the transposed token embedding and a bias (BERT).
    #[default]
    Bert,
    /// The transposed token embedding alone (SOHO's released code).
    Tied,
}

impl Default for MlmConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            probability: 0.15,
            whole_word: false,
            at_least_one: false,
            skip_negatives: false,
            head: MlmHead::Bert,
        }
    }
}

/// Logits of masked tokens, tied to the token embedding.
#[derive(Module, Debug)]
pub struct Mlm {
    transform: Option<Linear>,
    norm: Option<LayerNorm>,
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: MlmConfig,
}

init_weights!(Mlm { transform, norm, bias = Zeros; config });

crate::mean_metrics! {
    /// Metrics of [`Mlm`].
    pub struct MlmMetrics {
        /// Fraction of masked tokens whose most probable prediction is right.
        pub accuracy: "mlm/accuracy",
    }
}

impl Validate for MlmConfig {
    fn validate(&self, check: &Check, _run: &RunContext) -> Result<(), ObjectiveError> {
        check.fraction("probability", self.probability)
    }
}

impl MlmConfig {
    /// Builds the head for states of width `d_model`.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(&self, d_model: usize, vocab_size: usize, device: &Device) -> Mlm {
        let bert = self.head == MlmHead::Bert;
        Mlm {
            transform: bert.then(|| LinearConfig::new(d_model, d_model).init(device)),
            norm: bert.then(|| LayerNorm::new(d_model, 1e-12, device)),
            bias: bert.then(|| Param::from_tensor(Tensor::zeros([vocab_size], device))),
            config: self.clone(),
        }
    }
}

/// Tokens with their probabilities, most probable first.
pub type TopTokens = Vec<(u32, f32)>;

/// The masked tokens of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MlmTarget {
    /// (position in the text, original token) of each.
    pub masked: Vec<(usize, u32)>,
}

impl Mlm {
    /// Logits `[rows, vocab]` of states `[rows, d_model]`, tied to the token embedding `[vocab, d_model]`.
    pub fn logits(&self, states: Tensor<2>, token_embedding: Tensor<2>) -> Tensor<2> {
        let x = match (&self.transform, &self.norm) {
            (Some(transform), Some(norm)) => norm.forward(gelu(linear_layer(transform, states))),
            _ => states,
        };
        tied_logits(
            x,
            token_embedding,
            self.bias.as_ref().map(|bias| bias.val()),
        )
    }

    /// Logits and labels of all masked tokens, text by text; `None` if no token is masked.
    fn masked_logits(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&MlmTarget],
    ) -> Option<(Tensor<2>, Vec<i32>)> {
        let (mut positions, mut labels) = (vec![], vec![]);
        for (row, target) in targets.iter().enumerate() {
            for &(position, id) in &target.masked {
                positions.push((row, position));
                labels.push(id as i32);
            }
        }
        if positions.is_empty() {
            return None;
        }
        let states = gather_positions(output.joint().text.states.clone(), &positions);
        Some((self.logits(states, output.parts.token_embedding()), labels))
    }

    /// For each target, the `count` most probable tokens of each masked position; all tokens of a smaller vocabulary.
    pub fn predict(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&MlmTarget],
        count: usize,
    ) -> Vec<Vec<TopTokens>> {
        let none = || {
            targets
                .iter()
                .map(|target| vec![vec![]; target.masked.len()])
        };
        if count == 0 {
            return none().collect();
        }
        let Some((logits, _)) = self.masked_logits(output, targets) else {
            return none().collect();
        };
        let count = count.min(logits.dims()[1]);
        let (probabilities, ids) = softmax(logits, 1).topk_with_indices(count, 1);
        let probabilities: Vec<f32> = probabilities.into_data().iter().collect();
        let ids: Vec<u32> = ids.into_data().iter::<i64>().map(|id| id as u32).collect();
        let mut rows = ids.chunks(count).zip(probabilities.chunks(count));
        let top_tokens = |(ids, probabilities): (&[u32], &[f32])| {
            ids.iter()
                .copied()
                .zip(probabilities.iter().copied())
                .collect()
        };
        targets
            .iter()
            .map(|target| {
                rows.by_ref()
                    .take(target.masked.len())
                    .map(top_tokens)
                    .collect()
            })
            .collect()
    }
}

impl Objective for Mlm {
    const NAME: &'static str = "mlm";

    type Target = MlmTarget;

    type Metrics = MlmMetrics;

    fn unit(&self) -> Unit {
        Unit::Text
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<MlmTarget, ObjectiveError> {
        let mut rng = pair.rng(Self::NAME);
        let (special, vocab) = (
            pair.tokenizer.special_tokens(),
            pair.tokenizer.vocab_size() as u32,
        );
        let special_ids = [
            special.pad,
            special.unk,
            special.cls,
            special.sep,
            special.mask,
        ];
        let mut target = MlmTarget::default();
        let words = pair.text.word_ids.clone();
        let positions: Vec<usize> = (0..words.len()).filter(|&i| words[i].is_some()).collect();
        let forced = match positions.len() {
            n if n > 0 && self.config.at_least_one => Some(positions[rng.random_range(0..n)]),
            _ => None,
        };
        let mut word = None;
        let mut chosen = false;
        for position in positions {
            // With whole words, the decision for a word's first token holds for all of its tokens.
            if !(self.config.whole_word && words[position] == word) {
                chosen = rng.random_bool(self.config.probability.clamp(0.0, 1.0));
            }
            word = words[position];
            let replacement: f64 = rng.random();
            let random_id = random_token(&mut rng, vocab, &special_ids);
            let is_forced = forced.is_some_and(|forced| {
                forced == position || (self.config.whole_word && words[forced] == words[position])
            });
            if !chosen && !is_forced {
                continue;
            }
            target.masked.push((position, pair.text.ids[position]));
            // BERT: 80 % [MASK], 10 % a random token, 10 % unchanged.
            if replacement < 0.8 {
                pair.text.ids[position] = special.mask;
            } else if replacement < 0.9 {
                pair.text.ids[position] = random_id;
            }
        }
        // The tokens stay masked: otherwise the presence of a mask would reveal that the pair is positive.
        if self.config.skip_negatives && !pair.matched {
            target.masked.clear();
        }
        Ok(target)
    }

    fn target_tensors(
        &self,
        targets: &[&MlmTarget],
        text_length: usize,
        device: &Device,
    ) -> TargetTensors {
        let masked = targets.iter().enumerate().flat_map(|(row, target)| {
            let masked = target.masked.iter();
            masked.map(move |&(position, id)| (row * text_length + position, id as usize))
        });
        PaddedLabels::values(&masked.collect::<Vec<_>>(), device).into()
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&MlmTarget],
    ) -> Result<Losses, ObjectiveError> {
        let states = &output.joint().text.states;
        let tensors = output.target_tensors(Self::NAME);
        let value = match PaddedLabels::from_values(tensors, &states.device()) {
            Some(masked) => {
                let [texts, length, width] = states.dims();
                let states = states.clone().reshape([texts * length, width]);
                let token_embedding = output.parts.token_embedding();
                masked.cross_entropy(self.logits(masked.select(states), token_embedding))
            }
            None => match self.masked_logits(output, targets) {
                Some((logits, labels)) => cross_entropy(logits, &labels),
                None => zero(&states.device()),
            },
        };
        Ok(Losses::single(Self::NAME, self.config.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&MlmTarget],
        metrics: &mut MlmMetrics,
    ) -> Result<(), ObjectiveError> {
        if let Some((logits, labels)) = self.masked_logits(output, targets) {
            metrics.accuracy.record_argmax(logits, &labels);
        }
        Ok(())
    }
}

fn random_token(rng: &mut impl Rng, vocab: u32, special_ids: &[u32]) -> u32 {
    loop {
        let id = rng.random_range(0..vocab.max(1));
        if !special_ids.contains(&id) || vocab as usize <= special_ids.len() {
            return id;
        }
    }
}
