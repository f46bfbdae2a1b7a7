//! Image captioning by the shared decoder, from the image-only pass (E2E-VLP's ITG).

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use serde::{Deserialize, Serialize};
use vlp_transformer::generate::{Generated, GenerationConfig, NextToken, generate};
use vlp_transformer::{
    AttentionBias, Decoder, DecoderCache, DecoderInput, Memory, TextBatch, TextEmbedding,
};

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::loss::{cross_entropy, pick};
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

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
}

impl Default for CaptioningConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            max_len: 40,
            beams: 1,
            length_penalty: 0.0,
        }
    }
}

/// Output head of the caption decoder: the word table transposed plus a bias.
#[derive(Module, Debug)]
pub struct Captioning {
    bias: Param<Tensor<1>>,
    #[module(skip)]
    config: CaptioningConfig,
}

impl CaptioningConfig {
    /// Builds the head.
    pub fn init(&self, vocab_size: usize, device: &Device) -> Captioning {
        Captioning {
            bias: Param::from_tensor(Tensor::zeros([vocab_size], device)),
            config: self.clone(),
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
}

impl Captioning {
    fn head(&self, states: Tensor<2>, words: Tensor<2>) -> Tensor<2> {
        states.matmul(words.transpose()) + self.bias.val().unsqueeze()
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

    fn decoder<'a>(&self, encoded: &Encoded<'a>) -> Result<&'a Decoder, ObjectiveError> {
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
        let memory = encoded.image(NAME)?;
        let decoder = self.decoder(encoded)?;
        let images = memory.states.dims()[0];
        let device = memory.states.device();
        let beams = config.beams.max(1);
        let rows: Vec<i32> = (0..images * beams)
            .map(|row| (row / beams) as i32)
            .collect();
        let memory = if beams == 1 {
            memory.clone()
        } else {
            memory.select(Tensor::from_ints(rows.as_slice(), &device))
        };
        let limit = config
            .max_len
            .min(encoded.words.max_len().saturating_sub(1));
        let config = GenerationConfig {
            max_len: limit,
            ..config.clone()
        };
        let cache = decoder.cache(&memory);
        let mut scorer = Cached {
            head: self,
            decoder,
            words: encoded.words,
            cache,
            place: 0,
            device,
        };
        Ok(generate(&mut scorer, images, &config))
    }
}

/// One more token at a time, keys and values kept.
struct Cached<'a> {
    head: &'a Captioning,
    decoder: &'a Decoder,
    words: &'a TextEmbedding,
    cache: DecoderCache,
    place: usize,
    device: Device,
}

impl NextToken for Cached<'_> {
    fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
        let ids: Vec<i32> = last.iter().map(|&id| id as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [last.len(), 1]), &self.device);
        let x = self
            .decoder
            .step(self.words.forward_at(ids, self.place), &mut self.cache);
        self.place += 1;
        let logits = self.head.head(x.squeeze_dim(1), self.words.words());
        let vocab = logits.dims()[1];
        let flat: Vec<f32> = log_softmax(logits, 1).into_data().iter().collect();
        flat.chunks(vocab).map(<[f32]>::to_vec).collect()
    }

    fn reorder(&mut self, rows: &[usize]) {
        let rows: Vec<i32> = rows.iter().map(|&r| r as i32).collect();
        self.cache
            .reorder(Tensor::from_ints(rows.as_slice(), &self.device));
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
        })
    }

    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[CaptionTarget],
    ) -> Result<Losses, ObjectiveError> {
        let memory = encoded.image(NAME)?;
        let device = memory.states.device();
        let inputs: Vec<&[u32]> = targets.iter().map(|t| &t.ids[..t.ids.len() - 1]).collect();
        let text = TextBatch::pack(&inputs, targets.first().map_or(0, |t| t.pad), &device);
        let states = self.states(self.decoder(encoded)?, encoded.words, &text, memory);
        let (mut at, mut labels) = (vec![], vec![]);
        for (row, target) in targets.iter().enumerate() {
            for (place, &id) in target.ids.iter().skip(1).enumerate() {
                at.push((row, place));
                labels.push(id as i32);
            }
        }
        let value = match at.is_empty() {
            true => Tensor::zeros([1], &device),
            false => cross_entropy(self.head(pick(states, &at), encoded.words.words()), &labels),
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
        let config = GenerationConfig {
            bos: first.ends.0,
            eos: first.ends.1,
            max_len: self.config.max_len,
            beams: self.config.beams,
            length_penalty: self.config.length_penalty,
        };
        for (found, target) in self.generate(encoded, &config)?.iter().zip(targets) {
            tally.caption(&found.ids, &target.references);
        }
        Ok(())
    }
}
