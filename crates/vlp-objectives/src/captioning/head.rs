//! Logits of captions.

use burn::prelude::*;
use vlp_ops::tied_logits;
use vlp_transformer::{AttentionBias, Decoder, DecoderInput, Memory, TextBatch, TextEmbedding};

use crate::caption_graphs::CaptionGraphs;
use crate::loss::gather_positions;

/// What computes the logits of captions of a batch of images.
#[derive(Debug)]
pub struct CaptionHead<'a> {
    /// Bias of the output layer, `[vocab]`. Its weight is the token embedding.
    pub bias: Tensor<1>,
    /// Decoder of captions.
    pub decoder: &'a Decoder,
    /// Embedding of the tokens.
    pub text_embedding: &'a TextEmbedding,
    /// The encoded images.
    pub memory: &'a Memory,
    /// Recorded graphs of decoding with these weights, if they are kept from batch to batch.
    pub graphs: Option<&'a CaptionGraphs>,
}

impl<'a> CaptionHead<'a> {
    /// Maximum number of generated tokens: `limit`, or as many as there are position embeddings. The first token has the
    /// first position, and the last one is never read.
    pub(super) fn max_tokens(&self, limit: usize) -> usize {
        limit.min(self.text_embedding.max_positions())
    }

    /// Logits `[rows, vocab]` of decoder states `[rows, d_model]`.
    pub(super) fn project(&self, states: Tensor<2>) -> Tensor<2> {
        project(states, self.text_embedding, &self.bias)
    }

    pub(super) fn decoder_input(&self, text: &TextBatch) -> DecoderInput<'a> {
        let length = text.ids.dims()[1];
        let causal = AttentionBias::causal(length, &text.ids.device());
        DecoderInput {
            x: self.text_embedding.forward(text.ids.clone()),
            query_pos: None,
            bias: Some(causal.or(AttentionBias::padding(text.pad_mask.clone()))),
            memory: self.memory,
        }
    }

    /// Logits `[images, length, vocab]` of the token after each token of `text`, one text per image.
    pub fn logits(&self, text: &TextBatch) -> Tensor<3> {
        let states = self.decoder.forward(self.decoder_input(text));
        let [images, length, width] = states.dims();
        let logits = self.project(states.reshape([images * length, width]));
        let vocab = logits.dims()[1];
        logits.reshape([images, length, vocab])
    }

    /// Attention weights of the last cross-attention for each token of `text`, mean over heads,
    /// `[images, length, image tokens]`. The weights at a token are those of the prediction of the next token.
    pub fn attention_weights(&self, text: &TextBatch) -> Tensor<3> {
        self.decoder.attention_weights(self.decoder_input(text))
    }

    /// The decoder's input to predict every token of `texts` except the first ones; `None` if there are none.
    pub(super) fn teacher_forced_input(
        &self,
        texts: &[&[u32]],
        pad: u32,
    ) -> Option<DecoderInput<'a>> {
        if texts.iter().all(|ids| ids.len() < 2) {
            return None;
        }
        let inputs: Vec<&[u32]> = texts
            .iter()
            .map(|ids| &ids[..ids.len().saturating_sub(1)])
            .collect();
        let text = TextBatch::collate(&inputs, pad, &self.memory.states.device());
        Some(self.decoder_input(&text))
    }

    /// Logits `[tokens, vocab]` of every token of `texts` except the first ones, text by text, and those tokens; `None`
    /// without such tokens. `decoded` is the decoder's output for [`Self::teacher_forced_input`] if it has run.
    pub(super) fn teacher_forced_logits(
        &self,
        texts: &[&[u32]],
        pad: u32,
        decoded: Option<&Tensor<3>>,
    ) -> Option<(Tensor<2>, Vec<i32>)> {
        let (mut positions, mut labels) = (vec![], vec![]);
        for (row, ids) in texts.iter().enumerate() {
            for (position, &id) in ids.iter().skip(1).enumerate() {
                positions.push((row, position));
                labels.push(id as i32);
            }
        }
        let states = match decoded {
            Some(states) => states.clone(),
            None => self.decoder.forward(self.teacher_forced_input(texts, pad)?),
        };
        Some((self.project(gather_positions(states, &positions)), labels))
    }
}

/// Logits `[rows, vocab]` of decoder states `[rows, d_model]`.
pub(super) fn project(states: Tensor<2>, text: &TextEmbedding, bias: &Tensor<1>) -> Tensor<2> {
    tied_logits(states, text.token_embedding(), Some(bias.clone()))
}
