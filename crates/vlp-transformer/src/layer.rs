//! What encoder and decoder layers share: configuration, feed-forward block, post-norm residuals.

use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, apply, dropout, gelu};

use crate::attention::MultiHeadAttentionConfig;

/// Activation of the feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// DETR.
    Relu,
    /// BERT; exact (erf).
    Gelu,
}

/// Sizes and habits of a post-norm transformer layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the feed-forward block.
    pub ffn: usize,
    /// Dropout of attention weights and residual branches.
    pub dropout: f64,
    /// Dropout inside the feed-forward block: as `dropout` in DETR, 0 in BERT.
    pub ffn_dropout: f64,
    /// ReLU in DETR, GELU in BERT.
    pub activation: Activation,
    /// Epsilon of the layer norms: 1e-5 in DETR, 1e-12 in BERT.
    pub norm_eps: f64,
}

impl LayerConfig {
    /// DETR's layer: ReLU, dropout inside the feed-forward block, epsilon 1e-5.
    pub fn detr(d_model: usize, heads: usize, ffn: usize, dropout: f64) -> Self {
        Self {
            d_model,
            heads,
            ffn,
            dropout,
            ffn_dropout: dropout,
            activation: Activation::Relu,
            norm_eps: 1e-5,
        }
    }

    /// BERT's layer: GELU, no dropout inside the feed-forward block, epsilon 1e-12.
    pub fn bert(d_model: usize, heads: usize, ffn: usize, dropout: f64) -> Self {
        Self {
            d_model,
            heads,
            ffn,
            dropout,
            ffn_dropout: 0.0,
            activation: Activation::Gelu,
            norm_eps: 1e-12,
        }
    }

    pub(crate) fn attention(&self) -> MultiHeadAttentionConfig {
        MultiHeadAttentionConfig {
            d_model: self.d_model,
            heads: self.heads,
            dropout: self.dropout,
        }
    }

    pub(crate) fn norm(&self, device: &Device) -> LayerNorm {
        LayerNorm::new(self.d_model, self.norm_eps, device)
    }

    pub(crate) fn feed_forward(&self, device: &Device) -> FeedForward {
        FeedForward {
            inner: LinearConfig::new(self.d_model, self.ffn).init(device),
            outer: LinearConfig::new(self.ffn, self.d_model).init(device),
            dropout: DropoutConfig::new(self.ffn_dropout).init(),
            relu: self.activation == Activation::Relu,
        }
    }

    pub(crate) fn residual_dropout(&self) -> Dropout {
        DropoutConfig::new(self.dropout).init()
    }
}

/// Two linear layers with an activation between.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    inner: Linear,
    outer: Linear,
    dropout: Dropout,
    relu: bool,
}

impl FeedForward {
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = apply(&self.inner, x);
        let x = if self.relu { relu(x) } else { gelu(x) };
        apply(&self.outer, dropout(&self.dropout, x))
    }
}
