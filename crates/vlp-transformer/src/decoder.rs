//! The decoder (DETR): self-attention, attention to the memory, one shared norm over every layer's output.

use burn::nn::Dropout;
use burn::prelude::*;
use vlp_ops::{LayerNorm, dropout};

use crate::attention::{AttentionBias, KeyValue, MultiHeadAttention};
use crate::error::TransformerError;
use crate::layer::{FeedForward, LayerConfig};
use crate::memory::Memory;

/// Configuration of a [`Decoder`].
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// Number of layers.
    pub layers: usize,
    /// What each layer is.
    pub layer: LayerConfig,
}

/// A run of decoder layers with the shared output norm.
#[derive(Module, Debug)]
pub struct Decoder {
    layers: Vec<DecoderLayer>,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct DecoderLayer {
    self_attention: MultiHeadAttention,
    norm1: LayerNorm,
    cross_attention: MultiHeadAttention,
    norm2: LayerNorm,
    feed_forward: FeedForward,
    norm3: LayerNorm,
    dropout: Dropout,
}

/// What a [`Decoder`] reads.
#[derive(Debug, Clone)]
pub struct DecoderInput<'a> {
    /// Targets `[batch, length, d_model]`: zeros for object queries, embedded tokens for captions.
    pub x: Tensor<3>,
    /// Learned positions added to queries and keys of self-attention and to queries of cross-attention.
    pub query_pos: Option<Tensor<3>>,
    /// What self-attention hides: nothing for object queries, later tokens and padding for captions.
    pub bias: Option<AttentionBias>,
    /// Encoded image.
    pub memory: &'a Memory,
}

/// Keys and values of the tokens decoded so far and of the memory, for one generation.
#[derive(Debug, Clone)]
pub struct DecoderCache {
    layers: Vec<LayerCache>,
    bias: AttentionBias,
}

#[derive(Debug, Clone)]
struct LayerCache {
    own: Option<KeyValue>,
    memory: KeyValue,
}

impl DecoderConfig {
    /// Builds the layers.
    pub fn init(&self, device: &Device) -> Result<Decoder, TransformerError> {
        let layer = || {
            Ok(DecoderLayer {
                self_attention: self.layer.attention().init(device)?,
                norm1: self.layer.norm(device),
                cross_attention: self.layer.attention().init(device)?,
                norm2: self.layer.norm(device),
                feed_forward: self.layer.feed_forward(device),
                norm3: self.layer.norm(device),
                dropout: self.layer.residual_dropout(),
            })
        };
        let norm = LayerNorm::new(self.layer.d_model, 1e-5, device);
        Ok(Decoder {
            layers: (0..self.layers)
                .map(|_| layer())
                .collect::<Result<_, _>>()?,
            norm,
        })
    }
}

impl Decoder {
    /// Normalised outputs of every layer, each `[batch, length, d_model]`, last one last.
    pub fn forward_all(&self, input: DecoderInput<'_>) -> Vec<Tensor<3>> {
        let memory_bias = input.memory.bias();
        let keys = input.memory.states.clone() + input.memory.pos.clone();
        let mut x = input.x;
        let mut states = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let query = with_pos(&x, input.query_pos.as_ref());
            let own = layer.self_attention.project(query.clone(), x.clone());
            let memory = layer
                .cross_attention
                .project(keys.clone(), input.memory.states.clone());
            x = layer.forward(
                x,
                input.query_pos.as_ref(),
                own,
                input.bias.as_ref(),
                memory,
                &memory_bias,
            );
            states.push(self.norm.forward(x.clone()));
        }
        states
    }

    /// Normalised output of the last layer.
    pub fn forward(&self, input: DecoderInput<'_>) -> Tensor<3> {
        let x = input.x.clone();
        self.forward_all(input)
            .pop()
            .unwrap_or_else(|| self.norm.forward(x))
    }

    /// Where every query looks in the memory in the last layer, mean over heads, `[batch, length, tokens]`.
    pub fn attention(&self, input: DecoderInput<'_>) -> Tensor<3> {
        let memory_bias = input.memory.bias();
        let keys = input.memory.states.clone() + input.memory.pos.clone();
        let pos = input.query_pos.as_ref();
        let mut x = input.x;
        let mut found = None;
        for layer in &self.layers {
            let query = with_pos(&x, pos);
            let own = layer.self_attention.project(query.clone(), x.clone());
            let mixed = layer
                .self_attention
                .attend(query, own.clone(), input.bias.as_ref());
            let mid = layer.norm1.forward(x.clone() + mixed);
            let look =
                layer
                    .cross_attention
                    .look(with_pos(&mid, pos), keys.clone(), Some(&memory_bias));
            found = Some(look);
            let memory = layer
                .cross_attention
                .project(keys.clone(), input.memory.states.clone());
            x = layer.forward(x, pos, own, input.bias.as_ref(), memory, &memory_bias);
        }
        let [batch, length, _] = x.dims();
        let tokens = keys.dims()[1];
        found.unwrap_or_else(|| Tensor::zeros([batch, length, tokens], &x.device()))
    }

    /// An empty cache over `memory`.
    pub fn cache(&self, memory: &Memory) -> DecoderCache {
        let keys = memory.states.clone() + memory.pos.clone();
        let layers = self
            .layers
            .iter()
            .map(|layer| LayerCache {
                own: None,
                memory: layer
                    .cross_attention
                    .project(keys.clone(), memory.states.clone()),
            })
            .collect();
        DecoderCache {
            layers,
            bias: memory.bias(),
        }
    }

    /// Normalised output `[batch, 1, d_model]` for the next token's embedding `[batch, 1, d_model]`.
    ///
    /// Equal to the last place of [`Self::forward`] under a causal bias over all tokens so far.
    pub fn step(&self, x: Tensor<3>, cache: &mut DecoderCache) -> Tensor<3> {
        let mut x = x;
        for (layer, kept) in self.layers.iter().zip(&mut cache.layers) {
            let new = layer.self_attention.project(x.clone(), x.clone());
            let own = match kept.own.take() {
                Some(past) => past.append(new),
                None => new,
            };
            kept.own = Some(own.clone());
            x = layer.forward(x, None, own, None, kept.memory.clone(), &cache.bias);
        }
        self.norm.forward(x)
    }
}

impl DecoderCache {
    /// Keeps the given rows of the batch in the given order, for beam search.
    pub fn reorder(&mut self, rows: Tensor<1, Int>) {
        for layer in &mut self.layers {
            layer.own = layer.own.take().map(|kv| kv.select(rows.clone()));
        }
    }
}

impl DecoderLayer {
    fn forward(
        &self,
        x: Tensor<3>,
        pos: Option<&Tensor<3>>,
        own: KeyValue,
        own_bias: Option<&AttentionBias>,
        memory: KeyValue,
        memory_bias: &AttentionBias,
    ) -> Tensor<3> {
        let mixed = self.self_attention.attend(with_pos(&x, pos), own, own_bias);
        let x = self.norm1.forward(x + dropout(&self.dropout, mixed));
        let mixed = self
            .cross_attention
            .attend(with_pos(&x, pos), memory, Some(memory_bias));
        let x = self.norm2.forward(x + dropout(&self.dropout, mixed));
        let fed = self.feed_forward.forward(x.clone());
        self.norm3.forward(x + dropout(&self.dropout, fed))
    }
}

fn with_pos(x: &Tensor<3>, pos: Option<&Tensor<3>>) -> Tensor<3> {
    match pos {
        Some(pos) => x.clone() + pos.clone(),
        None => x.clone(),
    }
}
