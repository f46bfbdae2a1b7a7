//! The encoder: post-norm layers, positions added to queries and keys of every layer (DETR).

use burn::nn::Dropout;
use burn::prelude::*;
use vlp_ops::{LayerNorm, dropout, recompute};

use crate::attention::{AttentionBias, MultiHeadAttention};
use crate::error::TransformerError;
use crate::layer::{FeedForward, LayerConfig};

/// Configuration of an [`Encoder`].
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Number of layers.
    pub layers: usize,
    /// What each layer is.
    pub layer: LayerConfig,
}

/// A run of encoder layers.
#[derive(Module, Debug)]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
    #[module(skip)]
    recompute: bool,
}

#[derive(Module, Debug)]
struct EncoderLayer {
    attention: MultiHeadAttention,
    norm1: LayerNorm,
    feed_forward: FeedForward,
    norm2: LayerNorm,
    dropout: Dropout,
}

impl EncoderConfig {
    /// Builds the layers.
    pub fn init(&self, device: &Device) -> Result<Encoder, TransformerError> {
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
    /// Keeps no more than the input of every layer for the backward pass, which computes the layer again
    /// ([`vlp_ops::recompute`]): the same gradients.
    #[must_use]
    pub fn with_recompute(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    fn layer(
        &self,
        layer: &EncoderLayer,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        if !self.recompute {
            return layer.forward(x, pos, bias);
        }
        let bias = bias.cloned();
        recompute(layer, x, pos, move |layer, x, pos| {
            layer.forward(x, pos, bias.as_ref())
        })
    }

    /// Outputs of every layer for `x` `[batch, tokens, d_model]`, last one last.
    ///
    /// `pos` of the same shape is added to queries and keys, not to values; `bias` hides padding.
    pub fn forward_all(
        &self,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Vec<Tensor<3>> {
        let mut states = Vec::with_capacity(self.layers.len());
        let mut x = x;
        for layer in &self.layers {
            x = self.layer(layer, x, pos.clone(), bias);
            states.push(x.clone());
        }
        states
    }

    /// As [`Self::forward`], and where every token looks in the last layer, mean over heads, `[batch, tokens, tokens]`;
    /// `None` without layers.
    pub fn forward_looking(
        &self,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let Some((last, before)) = self.layers.split_last() else {
            return (x, None);
        };
        let x = before
            .iter()
            .fold(x, |x, layer| self.layer(layer, x, pos.clone(), bias));
        let query = match &pos {
            Some(pos) => x.clone() + pos.clone(),
            None => x.clone(),
        };
        let looks = last.attention.look(query.clone(), query, bias);
        (self.layer(last, x, pos, bias), Some(looks))
    }

    /// Output of the last layer; `x` itself if there is none.
    pub fn forward(
        &self,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        self.layers
            .iter()
            .fold(x, |x, layer| self.layer(layer, x, pos.clone(), bias))
    }
}

impl EncoderLayer {
    fn forward(
        &self,
        x: Tensor<3>,
        pos: Option<Tensor<3>>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let query = match pos {
            Some(pos) => x.clone() + pos,
            None => x.clone(),
        };
        let mixed = self
            .attention
            .forward(query.clone(), query, x.clone(), bias);
        let x = self.norm1.forward(x + dropout(&self.dropout, mixed));
        let fed = self.feed_forward.forward(x.clone());
        self.norm2.forward(x + dropout(&self.dropout, fed))
    }
}
