//! Multi-head attention.

use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use vlp_ops::{Drops, apply, softmax};

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

/// Projected keys and values, each `[batch, keys, d_model]`.
#[derive(Debug, Clone)]
pub struct KeyValue {
    /// Keys.
    pub key: Tensor<3>,
    /// Values.
    pub value: Tensor<3>,
}

impl KeyValue {
    /// Appends later keys and values.
    pub fn append(self, later: Self) -> Self {
        Self {
            key: Tensor::cat(vec![self.key, later.key], 1),
            value: Tensor::cat(vec![self.value, later.value], 1),
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
        let layer = || LinearConfig::new(self.d_model, self.d_model).init(device);
        Ok(MultiHeadAttention {
            query: layer(),
            key: layer(),
            value: layer(),
            output: layer(),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
        })
    }
}

impl MultiHeadAttention {
    /// Projects keys `[batch, keys, d_model]` and values of the same shape, for [`Self::attend`].
    pub fn project(&self, key: Tensor<3>, value: Tensor<3>) -> KeyValue {
        KeyValue {
            key: apply(&self.key, key),
            value: apply(&self.value, value),
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
        let drops = Drops::draw(&self.dropout, &query.device());
        let mixed = vlp_ops::attention(
            apply(&self.query, query),
            kv.key,
            kv.value,
            bias.map(|bias| bias.scores.clone()),
            drops,
            self.heads,
        );
        apply(&self.output, mixed)
    }

    /// Weights of `query` `[batch, queries, d_model]` on `key` `[batch, keys, d_model]`, mean over heads,
    /// `[batch, queries, keys]`; a row sums to 1.
    pub fn look(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let split = |x: Tensor<3>| {
            let [batch, length, width] = x.dims();
            x.reshape([batch, length, self.heads, width / self.heads])
                .swap_dims(1, 2)
        };
        let q = split(apply(&self.query, query));
        let scale = 1.0 / (q.dims()[3] as f64).sqrt();
        let key = split(apply(&self.key, key)).swap_dims(2, 3);
        let scores = q.mul_scalar(scale).matmul(key);
        let scores = match bias {
            Some(bias) => scores + bias.scores.clone(),
            None => scores,
        };
        softmax(scores).mean_dim(1).squeeze_dim(1)
    }
}
