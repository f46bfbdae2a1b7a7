//! Multi-head attention: fused where only inference is asked for, plain products in training.

use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

use crate::error::TransformerError;

/// Score of a hidden key: its weight is exactly zero beside any visible one.
const HIDDEN: f32 = -1e9;

/// What a query may not see, as a mask that broadcasts over heads: `[batch or 1, 1, queries or 1, keys]`.
///
/// A query that may see nothing sees everything, so that its output, which nobody reads, is finite.
/// Built once for a pass and shared by its layers.
#[derive(Debug, Clone)]
pub struct AttentionBias {
    hidden: Tensor<4, Bool>,
    scores: Tensor<4>,
}

impl AttentionBias {
    fn new(hidden: Tensor<4, Bool>) -> Self {
        let sees = hidden.clone().all_dim(3).bool_not();
        let shape = hidden.dims();
        let hidden = hidden.bool_and(sees.expand(shape));
        let scores = hidden.clone().float().mul_scalar(HIDDEN);
        Self { hidden, scores }
    }

    /// Hides padded keys; `pad_mask` is `[batch, keys]`, true = padding.
    pub fn padding(pad_mask: Tensor<2, Bool>) -> Self {
        let [batch, keys] = pad_mask.dims();
        Self::new(pad_mask.reshape([batch, 1, 1, keys]))
    }

    /// Hides later tokens: a query sees keys up to its own place.
    pub fn causal(length: usize, device: &Device) -> Self {
        let at = Tensor::<1, Int>::arange(0..length as i64, device);
        let later = at
            .clone()
            .reshape([1, 1, 1, length])
            .greater(at.reshape([1, 1, length, 1]));
        Self::new(later)
    }

    /// Hides what either of two hides.
    pub fn or(self, other: Self) -> Self {
        let a = self.hidden.int();
        let b = other.hidden.int();
        Self::new((a + b).greater_elem(0))
    }
}

/// Configuration of [`MultiHeadAttention`].
#[derive(Debug, Clone, PartialEq)]
pub struct MultiHeadAttentionConfig {
    /// Width of queries, keys, values and output.
    pub d_model: usize,
    /// Number of heads; must divide `d_model`.
    pub heads: usize,
    /// Dropout of the attention weights.
    pub dropout: f64,
}

/// Scaled dot-product attention with `heads` heads (Vaswani et al. 2017).
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    dropout: Dropout,
    heads: usize,
}

/// Keys and values split into heads, each `[batch, heads, keys, d_model / heads]`.
#[derive(Debug, Clone)]
pub struct KeyValue {
    /// Keys.
    pub key: Tensor<4>,
    /// Values.
    pub value: Tensor<4>,
}

impl KeyValue {
    /// Appends later keys and values.
    pub fn append(self, later: Self) -> Self {
        Self {
            key: Tensor::cat(vec![self.key, later.key], 2),
            value: Tensor::cat(vec![self.value, later.value], 2),
        }
    }

    /// Keeps the given rows of the batch, for beam search.
    pub fn select(self, rows: Tensor<1, Int>) -> Self {
        Self {
            key: self.key.select(0, rows.clone()),
            value: self.value.select(0, rows),
        }
    }
}

impl MultiHeadAttentionConfig {
    /// Builds the layer.
    pub fn init(&self, device: &Device) -> Result<MultiHeadAttention, TransformerError> {
        if self.heads == 0 || !self.d_model.is_multiple_of(self.heads) {
            let near: Vec<String> = (1..=self.d_model.min(32))
                .filter(|h| self.d_model.is_multiple_of(*h))
                .map(|h| h.to_string())
                .collect();
            return Err(TransformerError::Config {
                key: "heads",
                value: self.heads.to_string(),
                hint: format!(
                    "heads must divide d_model = {}: use one of {}",
                    self.d_model,
                    near.join(", ")
                ),
            });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(TransformerError::Config {
                key: "dropout",
                value: self.dropout.to_string(),
                hint: "use a probability of at least 0 and less than 1".into(),
            });
        }
        let linear = || LinearConfig::new(self.d_model, self.d_model).init(device);
        Ok(MultiHeadAttention {
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
        })
    }
}

impl MultiHeadAttention {
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, length, width] = x.dims();
        x.reshape([batch, length, self.heads, width / self.heads])
            .swap_dims(1, 2)
    }

    /// Projects keys `[batch, keys, d_model]` and values of the same shape, for [`Self::attend`].
    pub fn project(&self, key: Tensor<3>, value: Tensor<3>) -> KeyValue {
        KeyValue {
            key: self.split(self.key.forward(key)),
            value: self.split(self.value.forward(value)),
        }
    }

    /// Attention of `query` `[batch, queries, d_model]` over `keys` and `values` of `[batch, keys, d_model]`.
    pub fn forward(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        self.attend(query, self.project(key, value), bias)
    }

    /// Attention over projected keys and values, which a generation keeps from step to step.
    pub fn attend(
        &self,
        query: Tensor<3>,
        kv: KeyValue,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let [batch, queries, width] = query.dims();
        let q = self.split(self.query.forward(query));
        let mixed = if q.device().is_autodiff() {
            let weights = self.dropout.forward(self.weights(q, kv.key, bias));
            weights.matmul(kv.value)
        } else {
            let keys = kv.key.dims()[2];
            let mask = bias.map(|b| b.hidden.clone().expand([batch, self.heads, queries, keys]));
            attention(
                q,
                kv.key,
                kv.value,
                mask,
                None,
                AttentionModuleOptions::default(),
            )
        };
        self.output
            .forward(mixed.swap_dims(1, 2).reshape([batch, queries, width]))
    }

    /// Weights of `query` `[batch, queries, d_model]` on `key` `[batch, keys, d_model]`, mean over heads,
    /// `[batch, queries, keys]`; a row sums to 1.
    pub fn look(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let q = self.split(self.query.forward(query));
        let key = self.split(self.key.forward(key));
        self.weights(q, key, bias).mean_dim(1).squeeze_dim(1)
    }

    fn weights(&self, q: Tensor<4>, key: Tensor<4>, bias: Option<&AttentionBias>) -> Tensor<4> {
        let scale = 1.0 / (q.dims()[3] as f64).sqrt();
        let scores = q.mul_scalar(scale).matmul(key.swap_dims(2, 3));
        let scores = match bias {
            Some(bias) => scores + bias.scores.clone(),
            None => scores,
        };
        vlp_ops::softmax(scores)
    }
}
