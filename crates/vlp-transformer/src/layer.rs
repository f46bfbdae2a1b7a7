//! Configuration and feed-forward block of encoder and decoder layers.

use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, dropout, gelu, init_weights, linear_layer};

use crate::attention::MultiHeadAttentionConfig;
use crate::error::{TransformerError, check_dropout};

/// Activation of the feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// ReLU, as in DETR.
    Relu,
    /// Exact GELU (erf), as in BERT.
    Gelu,
}

/// Configuration of a post-norm transformer layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct LayerConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Number of attention heads; must divide `d_model`.
    pub n_heads: usize,
    /// Inner width of the feed-forward block.
    pub d_ff: usize,
    /// Dropout of attention weights and of residual branches.
    pub dropout: f64,
    /// Dropout after the activation of the feed-forward block: as `dropout` in DETR, 0 in BERT.
    pub activation_dropout: f64,
    /// ReLU in DETR, GELU in BERT.
    pub activation: Activation,
    /// Epsilon of the layer norms: 1e-5 in DETR, 1e-12 in BERT.
    pub norm_eps: f64,
}

impl LayerConfig {
    /// DETR's layer: ReLU, dropout after the activation, epsilon 1e-5.
    pub fn detr(d_model: usize, n_heads: usize, d_ff: usize, dropout: f64) -> Self {
        Self {
            d_model,
            n_heads,
            d_ff,
            dropout,
            activation_dropout: dropout,
            activation: Activation::Relu,
            norm_eps: 1e-5,
        }
    }

    /// BERT's layer: GELU, no dropout after the activation, epsilon 1e-12.
    pub fn bert(d_model: usize, n_heads: usize, d_ff: usize, dropout: f64) -> Self {
        Self {
            d_model,
            n_heads,
            d_ff,
            dropout,
            activation_dropout: 0.0,
            activation: Activation::Gelu,
            norm_eps: 1e-12,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`TransformerError::Config`] if `n_heads` does not divide `d_model`, or a dropout is not in `[0, 1)`.
    pub fn validate(&self) -> Result<(), TransformerError> {
        self.attention().validate()?;
        check_dropout("activation_dropout", self.activation_dropout)
    }

    pub(crate) fn attention(&self) -> MultiHeadAttentionConfig {
        MultiHeadAttentionConfig::new(self.d_model, self.n_heads).with_dropout(self.dropout)
    }

    pub(crate) fn norm(&self, device: &Device) -> LayerNorm {
        LayerNorm::new(self.d_model, self.norm_eps, device)
    }

    pub(crate) fn feed_forward(&self, device: &Device) -> FeedForward {
        FeedForward {
            inner: LinearConfig::new(self.d_model, self.d_ff).init(device),
            outer: LinearConfig::new(self.d_ff, self.d_model).init(device),
            dropout: DropoutConfig::new(self.activation_dropout).init(),
            relu: self.activation == Activation::Relu,
        }
    }

    pub(crate) fn residual_dropout(&self) -> Dropout {
        DropoutConfig::new(self.dropout).init()
    }
}

/// Two linear layers with an activation between them.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    inner: Linear,
    outer: Linear,
    dropout: Dropout,
    relu: bool,
}

init_weights!(FeedForward { inner, outer; dropout, relu });

impl FeedForward {
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = linear_layer(&self.inner, x);
        let x = if self.relu { relu(x) } else { gelu(x) };
        linear_layer(&self.outer, dropout(&self.dropout, x))
    }
}

/// `x + pos`.
pub(crate) fn with_pos(x: &Tensor<3>, pos: Option<&Tensor<3>>) -> Tensor<3> {
    match pos {
        Some(pos) => x.clone() + pos.clone(),
        None => x.clone(),
    }
}
