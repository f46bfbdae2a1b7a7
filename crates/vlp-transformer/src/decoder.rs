//! DETR's decoder: self-attention, cross-attention to the memory, one norm shared by the outputs of all layers.

mod static_cache;

use burn::nn::Dropout;
use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, init_weights};

use crate::attention::{AttentionBias, KeyValue, MultiHeadAttention};
use crate::error::TransformerError;
use crate::layer::{FeedForward, LayerConfig, with_pos};
use crate::memory::Memory;

pub use static_cache::StaticCache;

/// Configuration of a [`Decoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Number of layers.
    pub layers: usize,
    /// Configuration of each layer.
    pub layer: LayerConfig,
}

/// Decoder layers with the shared output norm.
#[derive(Module, Debug)]
pub struct Decoder {
    layers: Vec<DecoderLayer>,
    norm: LayerNorm,
}

init_weights!(Decoder { layers, norm });

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

init_weights!(DecoderLayer {
    self_attention,
    norm1,
    cross_attention,
    norm2,
    feed_forward,
    norm3;
    dropout
});

/// Input of a [`Decoder`].
#[derive(Debug, Clone)]
pub struct DecoderInput<'a> {
    /// `[batch, length, d_model]`: zeros for object queries, embedded tokens for captions.
    pub x: Tensor<3>,
    /// Learned positions `[batch, length, d_model]`, added to queries and keys of self-attention and to queries of
    /// cross-attention.
    pub query_pos: Option<Tensor<3>>,
    /// Mask of self-attention: none for object queries, later tokens and padding for captions.
    pub bias: Option<AttentionBias>,
    /// The encoded image.
    pub memory: &'a Memory,
}

impl DecoderInput<'_> {
    /// Concatenates the tokens of both inputs, `self` first; the tokens of each input attend only to that input. Both
    /// must have the same memory.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let lengths = [&self, &other].map(|input| input.x.dims()[1]);
        let batch = self.x.dims()[0];
        let query_pos = match (self.query_pos, other.query_pos) {
            (None, None) => None,
            (first, second) => {
                let first = first.unwrap_or_else(|| self.x.zeros_like());
                let second = second.unwrap_or_else(|| other.x.zeros_like());
                Some(Tensor::cat(vec![first, second], 1))
            }
        };
        let device = self.x.device();
        Self {
            x: Tensor::cat(vec![self.x, other.x], 1),
            query_pos,
            bias: Some(AttentionBias::blocks(
                [self.bias, other.bias],
                batch,
                lengths,
                &device,
            )),
            memory: self.memory,
        }
    }
}

/// Keys and values of the memory and of the tokens decoded so far, for [`Decoder::step`].
#[derive(Debug, Clone)]
pub struct DecoderCache {
    layers: Vec<LayerCache>,
    memory_bias: AttentionBias,
}

#[derive(Debug, Clone)]
struct LayerCache {
    tokens: Option<KeyValue>,
    memory: KeyValue,
}

/// Inputs that all layers share.
struct Context<'a> {
    query_pos: Option<Tensor<3>>,
    bias: Option<AttentionBias>,
    memory: &'a Memory,
    memory_keys: Tensor<3>,
    memory_bias: AttentionBias,
}

impl DecoderConfig {
    /// `layers` layers of this configuration.
    pub fn new(layers: usize, layer: LayerConfig) -> Self {
        Self { layers, layer }
    }

    /// Builds the layers.
    ///
    /// Its initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    ///
    /// # Errors
    /// As [`LayerConfig::validate`].
    pub fn init(&self, device: &Device) -> Result<Decoder, TransformerError> {
        self.layer.validate()?;
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
    /// Normalized outputs of all layers, the last layer's last.
    ///
    /// # Shapes
    /// - `input`: see [`DecoderInput`]
    /// - each output: `[batch, length, d_model]`
    pub fn forward_all(&self, input: DecoderInput<'_>) -> Vec<Tensor<3>> {
        let (mut x, context) = Context::new(input);
        let mut outputs = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            x = layer.forward(x, &context);
            outputs.push(self.norm.forward(x.clone()));
        }
        outputs
    }

    /// Normalized output of the last layer.
    ///
    /// # Shapes
    /// - `input`: see [`DecoderInput`]
    /// - output: `[batch, length, d_model]`
    pub fn forward(&self, input: DecoderInput<'_>) -> Tensor<3> {
        let (x, context) = Context::new(input);
        let x = (self.layers.iter()).fold(x, |x, layer| layer.forward(x, &context));
        self.norm.forward(x)
    }

    /// Cross-attention weights of the last layer, mean over heads; zeros without layers.
    ///
    /// # Shapes
    /// - `input`: see [`DecoderInput`]
    /// - output: `[batch, length, image tokens]`
    pub fn attention_weights(&self, input: DecoderInput<'_>) -> Tensor<3> {
        let (x, context) = Context::new(input);
        let Some((last, layers)) = self.layers.split_last() else {
            let ([batch, length, _], [_, tokens, _]) = (x.dims(), context.memory_keys.dims());
            return Tensor::zeros([batch, length, tokens], &x.device());
        };
        let x = (layers.iter()).fold(x, |x, layer| layer.forward(x, &context));
        let pos = context.query_pos.as_ref();
        let (query, bias) = (with_pos(&x, pos), context.bias.as_ref());
        let attended = last
            .self_attention
            .forward(query.clone(), query, x.clone(), bias);
        let query = with_pos(&last.norm1.forward(x + attended), pos);
        last.cross_attention.attention_weights(
            query,
            context.memory_keys,
            Some(&context.memory_bias),
        )
    }

    /// A cache over `memory` that holds no tokens yet.
    pub fn cache(&self, memory: &Memory) -> DecoderCache {
        let keys = memory.keys();
        let layers = self.layers.iter().map(|layer| LayerCache {
            tokens: None,
            memory: layer
                .cross_attention
                .project(keys.clone(), memory.states.clone()),
        });
        DecoderCache {
            layers: layers.collect(),
            memory_bias: memory.bias(),
        }
    }

    /// Normalized output for one more token. Equals [`Self::forward`] over all tokens so far under a causal bias, at the
    /// last position.
    ///
    /// # Shapes
    /// - `x`: embedded token, `[batch, 1, d_model]`
    /// - output: `[batch, 1, d_model]`
    pub fn step(&self, mut x: Tensor<3>, cache: &mut DecoderCache) -> Tensor<3> {
        for (layer, layer_cache) in self.layers.iter().zip(&mut cache.layers) {
            let token = layer.self_attention.project(x.clone(), x.clone());
            let tokens = match layer_cache.tokens.take() {
                Some(tokens) => tokens.append(token),
                None => token,
            };
            layer_cache.tokens = Some(tokens.clone());
            let memory = layer_cache.memory.clone();
            x = layer.attend(x, None, tokens, None, memory, &cache.memory_bias);
        }
        self.norm.forward(x)
    }
}

impl DecoderCache {
    /// Replaces row `i` of the batch by row `rows[i]`, for beam search.
    pub fn reorder(&mut self, rows: Tensor<1, Int>) {
        for layer in &mut self.layers {
            layer.tokens = layer.tokens.take().map(|kv| kv.select(rows.clone()));
        }
    }
}

impl<'a> Context<'a> {
    fn new(input: DecoderInput<'a>) -> (Tensor<3>, Self) {
        let context = Self {
            query_pos: input.query_pos,
            bias: input.bias,
            memory: input.memory,
            memory_keys: input.memory.keys(),
            memory_bias: input.memory.bias(),
        };
        (input.x, context)
    }
}

impl DecoderLayer {
    fn forward(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        let pos = context.query_pos.as_ref();
        let tokens = (self.self_attention).project(with_pos(&x, pos), x.clone());
        let memory = (self.cross_attention)
            .project(context.memory_keys.clone(), context.memory.states.clone());
        let bias = context.bias.as_ref();
        self.attend(x, pos, tokens, bias, memory, &context.memory_bias)
    }

    fn attend(
        &self,
        x: Tensor<3>,
        pos: Option<&Tensor<3>>,
        tokens: KeyValue,
        bias: Option<&AttentionBias>,
        memory: KeyValue,
        memory_bias: &AttentionBias,
    ) -> Tensor<3> {
        let attended = self.self_attention.attend(with_pos(&x, pos), tokens, bias);
        let x = self.norm1.forward_residual(attended, x, &self.dropout);
        let query = with_pos(&x, pos);
        let attended = (self.cross_attention).attend(query, memory, Some(memory_bias));
        let x = self.norm2.forward_residual(attended, x, &self.dropout);
        let output = self.feed_forward.forward(x.clone());
        self.norm3.forward_residual(output, x, &self.dropout)
    }
}
