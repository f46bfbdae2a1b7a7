//! The encoder: post-norm layers with positions added to queries and keys of every layer (DETR).

use burn::nn::Dropout;
use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, init_weights, recompute};

use crate::attention::{AttentionBias, MultiHeadAttention};
use crate::error::TransformerError;
use crate::layer::{FeedForward, LayerConfig, with_pos};

/// Configuration of an [`Encoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Number of layers.
    pub layers: usize,
    /// Configuration of each layer.
    pub layer: LayerConfig,
}

/// Encoder layers.
#[derive(Module, Debug)]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
    #[module(skip)]
    recompute: bool,
}

init_weights!(Encoder { layers; recompute });

#[derive(Module, Debug)]
struct EncoderLayer {
    attention: MultiHeadAttention,
    norm1: LayerNorm,
    feed_forward: FeedForward,
    norm2: LayerNorm,
    dropout: Dropout,
}

init_weights!(EncoderLayer { attention, norm1, feed_forward, norm2; dropout });

impl EncoderConfig {
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
    pub fn init(&self, device: &Device) -> Result<Encoder, TransformerError> {
        self.layer.validate()?;
        let layer = || {
            Ok(EncoderLayer {
                attention: self.layer.attention().init(device)?,
                norm1: self.layer.norm(device),
                feed_forward: self.layer.feed_forward(device),
                norm2: self.layer.norm(device),
                dropout: self.layer.residual_dropout(),
            })
        };
        Ok(Encoder {
            layers: (0..self.layers)
                .map(|_| layer())
                .collect::<Result<_, _>>()?,
            recompute: false,
        })
    }
}

impl Encoder {
    /// Whether to store only each layer's input and recompute the layer in the backward pass ([`vlp_ops::recompute`]); the
    /// gradients are the same.
    #[must_use]
    pub fn with_recompute(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// Output of the last layer; `x` itself without layers.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - `pos`: as `x`; added to queries and keys, not to values
    /// - output: as `x`
    pub fn forward(
        &self,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        self.run(&self.layers, x, pos.as_ref(), bias)
    }

    /// Outputs of all layers, the last layer's last.
    ///
    /// # Shapes
    /// As [`Self::forward`], for each output.
    pub fn forward_all(
        &self,
        mut x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Vec<Tensor<3>> {
        let mut outputs = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            x = self.run(std::slice::from_ref(layer), x, pos.as_ref(), bias);
            outputs.push(x.clone());
        }
        outputs
    }

    /// [`Self::forward`] with the attention weights of the last layer, mean over heads; `None` without layers.
    ///
    /// # Shapes
    /// As [`Self::forward`]; attention weights are `[batch, tokens, tokens]`.
    pub fn forward_with_attention(
        &self,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let Some((last, layers)) = self.layers.split_last() else {
            return (x, None);
        };
        let pos = pos.as_ref();
        let x = self.run(layers, x, pos, bias);
        let query = with_pos(&x, pos);
        let weights = last.attention.attention_weights(query.clone(), query, bias);
        let output = self.run(std::slice::from_ref(last), x, pos, bias);
        (output, Some(weights))
    }

    fn run(
        &self,
        layers: &[EncoderLayer],
        x: Tensor<3>,
        pos: Option<&Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        layers.iter().fold(x, |x, layer| {
            if !self.recompute {
                return layer.forward(x, pos, bias);
            }
            let bias = bias.cloned();
            recompute(layer, x, pos.cloned(), move |layer, x, pos| {
                layer.forward(x, pos.as_ref(), bias.as_ref())
            })
        })
    }
}

impl EncoderLayer {
    fn forward(
        &self,
        x: Tensor<3>,
        pos: Option<&Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let query = with_pos(&x, pos);
        let attended = (self.attention).forward(query.clone(), query, x.clone(), bias);
        let x = self.norm1.forward_residual(attended, x, &self.dropout);
        let output = self.feed_forward.forward(x.clone());
        self.norm2.forward_residual(output, x, &self.dropout)
    }
}
