//! Masked language modelling: BERT's masking, predicted from the rest of the text and the picture.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::softmax;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, apply, gelu, tied};

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::loss::{argmax, cross_entropy, pick};
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "mlm";

/// Configuration of [`Mlm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlmConfig {
    /// Weight of the loss; 1 in E2E-VLP.
    pub weight: f64,
    /// Probability that a word piece is chosen; 0.15 in BERT.
    pub probability: f64,
    /// Choose whole words instead of pieces; false in BERT (2018).
    pub whole_word: bool,
    /// Mask at least one piece of every text that has one; false in BERT.
    pub at_least_one: bool,
    /// Predict nothing for texts of another picture; true in SOHO's paper, false in its released code.
    pub skip_mismatched: bool,
    /// What stands before the word table.
    #[serde(default)]
    pub head: MlmHead,
}

/// How states become logits over the word table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlmHead {
    /// Linear, GELU, layer norm; a bias after the table (BERT).
    #[default]
    Bert,
    /// The table alone, without bias (SOHO's released code).
    Tied,
}

impl Default for MlmConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            probability: 0.15,
            whole_word: false,
            at_least_one: false,
            skip_mismatched: false,
            head: MlmHead::Bert,
        }
    }
}

/// BERT's head: linear, GELU, layer norm, then the word table transposed plus a bias.
#[derive(Module, Debug)]
pub struct Mlm {
    transform: Option<Linear>,
    norm: Option<LayerNorm>,
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: MlmConfig,
}

impl MlmConfig {
    /// Builds the head for states of width `d_model`.
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

/// Pieces with their probabilities, most probable first.
pub type Guesses = Vec<(u32, f32)>;

/// Places of masked pieces and what stood there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MlmTarget {
    /// (place in the text, original id).
    pub masked: Vec<(usize, u32)>,
}

impl Mlm {
    /// Logits `[rows, vocab]` of states `[rows, d_model]`, tied to the word table `[vocab, d_model]`.
    pub fn logits(&self, states: Tensor<2>, words: Tensor<2>) -> Tensor<2> {
        let x = match (&self.transform, &self.norm) {
            (Some(transform), Some(norm)) => norm.forward(gelu(apply(transform, states))),
            _ => states,
        };
        tied(x, words, self.bias.as_ref().map(|bias| bias.val()))
    }

    fn masked_logits(
        &self,
        encoded: &Encoded<'_>,
        targets: &[MlmTarget],
    ) -> Result<Option<(Tensor<2>, Vec<i32>)>, ObjectiveError> {
        let states = encoded.text(NAME)?.states.clone();
        let (mut at, mut labels) = (vec![], vec![]);
        for (row, target) in targets.iter().enumerate() {
            for &(place, id) in &target.masked {
                at.push((row, place));
                labels.push(id as i32);
            }
        }
        Ok((!at.is_empty()).then(|| {
            (
                self.logits(pick(states, &at), encoded.words.words()),
                labels,
            )
        }))
    }

    /// For each target the `top` most probable pieces of each masked place with their probabilities.
    pub fn predict(
        &self,
        encoded: &Encoded<'_>,
        targets: &[MlmTarget],
        top: usize,
    ) -> Result<Vec<Vec<Guesses>>, ObjectiveError> {
        let Some((logits, _)) = self.masked_logits(encoded, targets)? else {
            return Ok(vec![vec![]; targets.len()]);
        };
        let top = top.min(logits.dims()[1]);
        let (values, ids) = softmax(logits, 1).topk_with_indices(top, 1);
        let values: Vec<f32> = values.into_data().iter().collect();
        let ids: Vec<u32> = ids.into_data().iter::<i64>().map(|i| i as u32).collect();
        let mut rows = ids.chunks(top).zip(values.chunks(top));
        let best = |(ids, values): (&[u32], &[f32])| {
            ids.iter().copied().zip(values.iter().copied()).collect()
        };
        Ok(targets
            .iter()
            .map(|t| rows.by_ref().take(t.masked.len()).map(best).collect())
            .collect())
    }
}

impl Objective for Mlm {
    type Target = MlmTarget;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<MlmTarget, ObjectiveError> {
        let mut rng = draft.rng(NAME);
        let (special, vocab) = (draft.pieces.special(), draft.pieces.vocab_size() as u32);
        let specials = [
            special.pad,
            special.unk,
            special.cls,
            special.sep,
            special.mask,
        ];
        let mut target = MlmTarget::default();
        let words = draft.text.word_of.clone();
        let places: Vec<usize> = (0..words.len()).filter(|&i| words[i].is_some()).collect();
        let forced = match places.len() {
            n if n > 0 && self.config.at_least_one => Some(places[rng.random_range(0..n)]),
            _ => None,
        };
        let mut word = None;
        let mut chosen = false;
        for place in places {
            // With whole words, all pieces of a word share the draw of its first piece.
            if !(self.config.whole_word && words[place] == word) {
                chosen = rng.random_bool(self.config.probability.clamp(0.0, 1.0));
            }
            word = words[place];
            let fate: f64 = rng.random();
            let other = random_piece(&mut rng, vocab, &specials);
            let forced = forced.is_some_and(|at| {
                at == place || (self.config.whole_word && words[at] == words[place])
            });
            if !chosen && !forced {
                continue;
            }
            target.masked.push((place, draft.text.ids[place]));
            // BERT: 80 % [MASK], 10 % a random piece, 10 % unchanged.
            if fate < 0.8 {
                draft.text.ids[place] = special.mask;
            } else if fate < 0.9 {
                draft.text.ids[place] = other;
            }
        }
        // The text is masked all the same: else a mask would tell that the pair matches.
        if self.config.skip_mismatched && !draft.matched {
            target.masked.clear();
        }
        Ok(target)
    }

    fn loss(&self, encoded: &Encoded<'_>, targets: &[MlmTarget]) -> Result<Losses, ObjectiveError> {
        let value = match self.masked_logits(encoded, targets)? {
            Some((logits, labels)) => cross_entropy(logits, &labels),
            None => Tensor::zeros([1], &encoded.words.words().device()),
        };
        Ok(Losses::one(NAME, self.config.weight, value))
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[MlmTarget],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        if let Some((logits, labels)) = self.masked_logits(encoded, targets)? {
            for (guess, truth) in argmax(logits).into_iter().zip(labels) {
                tally.count("MLM accuracy", guess == truth as usize);
            }
        }
        Ok(())
    }
}

fn random_piece(rng: &mut impl Rng, vocab: u32, specials: &[u32]) -> u32 {
    loop {
        let id = rng.random_range(0..vocab.max(1));
        if !specials.contains(&id) || vocab as usize <= specials.len() {
            return id;
        }
    }
}
