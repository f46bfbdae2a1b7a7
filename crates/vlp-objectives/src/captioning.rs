//! Image captioning by the shared decoder, from the image-only pass (E2E-VLP's ITG).

use std::sync::Arc;

use burn::module::Param;
use burn::prelude::*;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::tied;
use vlp_transformer::{
    AttentionBias, Decoder, DecoderInput, Generated, GenerationConfig, Memory, Sampling, TextBatch,
    TextEmbedding,
};

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::loss::{cross_entropy, pick};
use crate::objective::{Losses, Objective};
use crate::self_critical::{self, CaptionReward, SelfCritical};
use crate::tally::Tally;
use crate::writer::Writer;

const NAME: &str = "caption";

/// Configuration of [`Captioning`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptioningConfig {
    /// Weight of the loss; 1 in E2E-VLP.
    pub weight: f64,
    /// Longest caption in tokens, `[CLS]` and `[SEP]` included; longer ones are cut.
    pub max_len: usize,
    /// Beams of the search on held-out pictures; 1 is greedy.
    pub beams: usize,
    /// Exponent of the length by which held-out beams are compared.
    pub length_penalty: f64,
    /// Fewest tokens of a generated caption.
    #[serde(default, skip_serializing_if = "none")]
    pub min_len: usize,
    /// No run of so many tokens occurs twice in a generated caption; 0 allows all.
    #[serde(default, skip_serializing_if = "none")]
    pub no_repeat: usize,
    /// Draw captions at random instead of searching the most probable ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Train on the reward of sampled captions instead of cross entropy; not in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_critical: Option<SelfCritical>,
}

// Left out of what is written, so that configurations of earlier versions stay the same.
fn none(value: &usize) -> bool {
    *value == 0
}

impl Default for CaptioningConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            max_len: 40,
            beams: 1,
            length_penalty: 0.0,
            min_len: 0,
            no_repeat: 0,
            sampling: None,
            self_critical: None,
        }
    }
}

/// Output head of the caption decoder: the word table transposed plus a bias.
#[derive(Module, Debug)]
pub struct Captioning {
    pub(crate) bias: Param<Tensor<1>>,
    #[module(skip)]
    pub(crate) config: CaptioningConfig,
    #[module(skip)]
    pub(crate) reward: Option<Arc<dyn CaptionReward>>,
}

impl CaptioningConfig {
    /// How captions from `bos` to `eos` are searched; [`Self::sampling`] apart.
    pub fn generation(&self, bos: u32, eos: u32) -> GenerationConfig {
        GenerationConfig {
            bos,
            eos,
            max_len: self.max_len,
            min_len: self.min_len,
            beams: self.beams,
            length_penalty: self.length_penalty,
            no_repeat: self.no_repeat,
        }
    }

    /// Builds the head.
    pub fn init(&self, vocab_size: usize, device: &Device) -> Captioning {
        Captioning {
            bias: Param::from_tensor(Tensor::zeros([vocab_size], device)),
            config: self.clone(),
            reward: None,
        }
    }
}

/// The example's own caption, whatever text entered the encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionTarget {
    /// `[CLS]` ... `[SEP]`.
    pub ids: Vec<u32>,
    /// All captions of the picture, for held-out scores.
    pub references: Vec<String>,
    /// First and last token of a caption.
    pub ends: (u32, u32),
    /// Padding token.
    pub pad: u32,
    /// Seed of what is drawn at random for this example.
    pub draw: u64,
    /// The picture's id, for result files.
    pub key: u64,
}

impl Captioning {
    pub(crate) fn head(&self, states: Tensor<2>, words: Tensor<2>) -> Tensor<2> {
        tied(states, words, Some(self.bias.val()))
    }

    /// Decoder states `[batch, length, d_model]` of captions under teacher forcing.
    fn states(
        &self,
        decoder: &Decoder,
        words: &TextEmbedding,
        text: &TextBatch,
        memory: &Memory,
    ) -> Tensor<3> {
        let length = text.ids.dims()[1];
        let causal = AttentionBias::causal(length, &text.ids.device());
        decoder.forward(DecoderInput {
            x: words.forward(text.ids.clone()),
            query_pos: None,
            bias: Some(causal.or(AttentionBias::padding(text.pad_mask.clone()))),
            memory,
        })
    }

    pub(crate) fn decoder<'a>(&self, encoded: &Encoded<'a>) -> Result<&'a Decoder, ObjectiveError> {
        encoded
            .caption_decoder
            .or(encoded.decoder)
            .ok_or(ObjectiveError::Missing {
                objective: NAME,
                what: "a decoder",
            })
    }

    /// Logits `[batch, length, vocab]` of the token after each of `text`, teacher-forced.
    pub fn logits(
        &self,
        encoded: &Encoded<'_>,
        text: &TextBatch,
    ) -> Result<Tensor<3>, ObjectiveError> {
        let states = self.states(
            self.decoder(encoded)?,
            encoded.words,
            text,
            encoded.image(NAME)?,
        );
        let [batch, length, width] = states.dims();
        let logits = self.head(
            states.reshape([batch * length, width]),
            encoded.words.words(),
        );
        let vocab = logits.dims()[1];
        Ok(logits.reshape([batch, length, vocab]))
    }

    /// Captions of every picture of the batch, searched with a key/value cache.
    pub fn generate(
        &self,
        encoded: &Encoded<'_>,
        config: &GenerationConfig,
    ) -> Result<Vec<Generated>, ObjectiveError> {
        Ok(self.writer(encoded)?.search(config))
    }

    /// A caption of every picture of the batch drawn at random: the same for the same `seeds`, one a picture.
    pub fn sample(
        &self,
        encoded: &Encoded<'_>,
        config: &GenerationConfig,
        sampling: &Sampling,
        seeds: &[u64],
    ) -> Result<Vec<Generated>, ObjectiveError> {
        Ok(self.writer(encoded)?.sample(config, sampling, seeds))
    }

    /// Captions as `config` says, searched or drawn.
    pub fn write(
        &self,
        encoded: &Encoded<'_>,
        config: &CaptioningConfig,
        ends: (u32, u32),
        seeds: &[u64],
    ) -> Result<Vec<Generated>, ObjectiveError> {
        let search = config.generation(ends.0, ends.1);
        match &config.sampling {
            Some(sampling) => self.sample(encoded, &search, sampling, seeds),
            None => self.generate(encoded, &search),
        }
    }

    /// Where the decoder looks before each token of `text`: its last cross-attention, mean over heads,
    /// `[batch, length, image tokens]`.
    pub fn attention(
        &self,
        encoded: &Encoded<'_>,
        text: &TextBatch,
    ) -> Result<Tensor<3>, ObjectiveError> {
        let length = text.ids.dims()[1];
        let causal = AttentionBias::causal(length, &text.ids.device());
        Ok(self.decoder(encoded)?.attention(DecoderInput {
            x: encoded.words.forward(text.ids.clone()),
            query_pos: None,
            bias: Some(causal.or(AttentionBias::padding(text.pad_mask.clone()))),
            memory: encoded.image(NAME)?,
        }))
    }

    fn writer<'a>(&'a self, encoded: &'a Encoded<'_>) -> Result<Writer<'a>, ObjectiveError> {
        Ok(Writer {
            head: self,
            decoder: self.decoder(encoded)?,
            words: encoded.words,
            memory: encoded.image(NAME)?,
        })
    }

    /// Logits `[tokens, vocab]` before each token but the first of `texts`, row after row, and those tokens.
    pub(crate) fn teach(
        &self,
        encoded: &Encoded<'_>,
        texts: &[&[u32]],
        pad: u32,
    ) -> Result<Option<(Tensor<2>, Vec<i32>)>, ObjectiveError> {
        let memory = encoded.image(NAME)?;
        let inputs: Vec<&[u32]> = texts
            .iter()
            .map(|ids| &ids[..ids.len().saturating_sub(1)])
            .collect();
        let text = TextBatch::pack(&inputs, pad, &memory.states.device());
        let states = self.states(self.decoder(encoded)?, encoded.words, &text, memory);
        let (mut at, mut labels) = (vec![], vec![]);
        for (row, ids) in texts.iter().enumerate() {
            for (place, &id) in ids.iter().skip(1).enumerate() {
                at.push((row, place));
                labels.push(id as i32);
            }
        }
        let logits = |at: &[_]| self.head(pick(states, at), encoded.words.words());
        Ok((!at.is_empty()).then(|| (logits(&at), labels)))
    }
}

impl Objective for Captioning {
    type Target = CaptionTarget;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::IMAGE
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<CaptionTarget, ObjectiveError> {
        let special = draft.pieces.special();
        let own = draft.example.texts.first().map_or("", String::as_str);
        let text = draft.pieces.encode(own, self.config.max_len);
        Ok(CaptionTarget {
            ids: text.ids,
            references: draft.example.captions.clone(),
            ends: (special.cls, special.sep),
            pad: special.pad,
            draw: draft.rng(NAME).random(),
            key: draft.example.key,
        })
    }

    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[CaptionTarget],
    ) -> Result<Losses, ObjectiveError> {
        if let Some(config) = &self.config.self_critical {
            return self_critical::loss(self, config, encoded, targets);
        }
        let texts: Vec<&[u32]> = targets.iter().map(|t| t.ids.as_slice()).collect();
        let pad = targets.first().map_or(0, |t| t.pad);
        let value = match self.teach(encoded, &texts, pad)? {
            None => Tensor::zeros([1], &encoded.words.words().device()),
            Some((logits, labels)) => cross_entropy(logits, &labels),
        };
        Ok(Losses::one(NAME, self.config.weight, value))
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[CaptionTarget],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        let Some(first) = targets.first() else {
            return Ok(());
        };
        let seeds: Vec<u64> = targets.iter().map(|t| t.draw).collect();
        let written = self.write(encoded, &self.config, first.ends, &seeds)?;
        for (found, target) in written.iter().zip(targets) {
            tally.caption(target.key, &found.ids, &target.references);
        }
        Ok(())
    }
}
