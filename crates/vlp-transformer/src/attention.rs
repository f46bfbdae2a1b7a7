//! Multi-head attention.

use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{DropoutMask, init_weights, linear_layer, matmul, softmax};

use crate::error::{TransformerError, check_dropout};

/// Score of a masked key: after the softmax its weight is exactly zero as long as one key is not masked.
const MASKED: f32 = -1e9;

/// An attention mask as a bias: it is added to the scores, very negative for keys that a query must not attend to, and
/// broadcasts over heads: `[batch or 1, 1, queries or 1, keys]`.
///
/// A query whose keys are all masked attends to all of them uniformly, so that its output is finite; this output is never
/// read. The bias is built once for a pass and shared by its layers.
#[derive(Debug, Clone)]
pub struct AttentionBias(Tensor<4>);

impl AttentionBias {
    /// `mask` is true where a key is masked; every query needs a key that is not masked.
    fn new(mask: Tensor<4, Bool>) -> Self {
        Self(mask.float().mul_scalar(MASKED))
    }

    /// Unmasks the keys of queries whose keys are all masked. On a GPU this is one reduction: burn fuses operations on floats,
    /// but not on bools.
    fn unmask_fully_masked(self) -> Self {
        Self(self.0.clone() - self.0.max_dim(3))
    }

    /// Masks padded keys; `pad_mask` is `[batch, keys]`, true = padding.
    pub fn padding(pad_mask: Tensor<2, Bool>) -> Self {
        let [batch, keys] = pad_mask.dims();
        Self::new(pad_mask.reshape([batch, 1, 1, keys])).unmask_fully_masked()
    }

    /// Masks later tokens: a query attends to keys up to its own position.
    pub fn causal(length: usize, device: &Device) -> Self {
        let positions = Tensor::<1, Int>::arange(0..length as i64, device);
        let keys = positions.clone().reshape([1, 1, 1, length]);
        Self::new(keys.greater(positions.reshape([1, 1, length, 1])))
    }

    /// Masks the keys whose `offsets` from the query, `[keys]`, are above 0; at least one must be 0 or below.
    pub(crate) fn later(offsets: Tensor<1, Int>) -> Self {
        let keys = offsets.dims()[0];
        Self::new(offsets.greater_elem(0).reshape([1, 1, 1, keys]))
    }

    /// The tensor that is added to the scores, `[batch or 1, 1, queries or 1, keys]`.
    pub fn into_scores(self) -> Tensor<4> {
        self.0
    }

    /// The inverse of [`Self::into_scores`].
    pub fn from_scores(scores: Tensor<4>) -> Self {
        Self(scores)
    }

    /// The block mask of two concatenated sequences with these lengths and masks: the tokens of each sequence attend only to
    /// that sequence.
    pub(crate) fn blocks(
        biases: [Option<Self>; 2],
        batch: usize,
        [first, second]: [usize; 2],
        device: &Device,
    ) -> Self {
        let block = |bias: Option<Self>, length: usize| match bias {
            Some(Self(scores)) => scores.expand([batch, 1, length, length]),
            None => Tensor::zeros([batch, 1, length, length], device),
        };
        // Not `Tensor::full`, which autodiff copies to the device from the CPU (burn 0.22.1).
        let between =
            |queries, keys| Tensor::zeros([batch, 1, queries, keys], device).add_scalar(MASKED);
        let [first_bias, second_bias] = biases;
        let first_rows = vec![block(first_bias, first), between(first, second)];
        let second_rows = vec![between(second, first), block(second_bias, second)];
        let rows = [first_rows, second_rows].map(|blocks| Tensor::cat(blocks, 3));
        Self(Tensor::cat(rows.to_vec(), 2))
    }

    /// Masks the keys that are masked by either bias.
    pub fn or(self, other: Self) -> Self {
        Self((self.0 + other.0).clamp_min(MASKED)).unmask_fully_masked()
    }
}

/// Configuration of [`MultiHeadAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct MultiHeadAttentionConfig {
    /// Width of queries, keys, values and output.
    pub d_model: usize,
    /// Number of heads; must divide `d_model`.
    pub n_heads: usize,
    /// Dropout of the attention weights.
    pub dropout: f64,
}

/// Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2).
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    dropout: Dropout,
    n_heads: usize,
}

init_weights!(MultiHeadAttention { query, key, value, output; dropout, n_heads });

/// Projected keys and values.
#[derive(Debug, Clone)]
pub struct KeyValue {
    /// `[batch, keys, d_model]`.
    pub key: Tensor<3>,
    /// `[batch, keys, d_model]`.
    pub value: Tensor<3>,
}

impl KeyValue {
    /// Appends the keys and values of the tokens that follow.
    pub fn append(self, later: Self) -> Self {
        Self {
            key: Tensor::cat(vec![self.key, later.key], 1),
            value: Tensor::cat(vec![self.value, later.value], 1),
        }
    }

    /// Selects rows of the batch, for beam search.
    pub fn select(self, rows: Tensor<1, Int>) -> Self {
        Self {
            key: self.key.select(0, rows.clone()),
            value: self.value.select(0, rows),
        }
    }
}

impl MultiHeadAttentionConfig {
    /// Attention with dropout 0.1, as in DETR and BERT.
    pub fn new(d_model: usize, n_heads: usize) -> Self {
        Self {
            d_model,
            n_heads,
            dropout: 0.1,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`TransformerError::Config`] if `n_heads` does not divide `d_model` or `dropout` is not in `[0, 1)`.
    pub fn validate(&self) -> Result<(), TransformerError> {
        if self.n_heads == 0 || !self.d_model.is_multiple_of(self.n_heads) {
            let divisors: Vec<String> = (1..=self.d_model.min(32))
                .filter(|divisor| self.d_model.is_multiple_of(*divisor))
                .map(|divisor| divisor.to_string())
                .collect();
            return Err(TransformerError::Config {
                key: "n_heads",
                value: self.n_heads.to_string(),
                hint: format!(
                    "must divide d_model = {}: use one of {}",
                    self.d_model,
                    divisors.join(", ")
                ),
            });
        }
        check_dropout("dropout", self.dropout)
    }

    /// Builds the layer.
    ///
    /// Its initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn init(&self, device: &Device) -> Result<MultiHeadAttention, TransformerError> {
        self.validate()?;
        let layer = || LinearConfig::new(self.d_model, self.d_model).init(device);
        Ok(MultiHeadAttention {
            query: layer(),
            key: layer(),
            value: layer(),
            output: layer(),
            dropout: DropoutConfig::new(self.dropout).init(),
            n_heads: self.n_heads,
        })
    }
}

impl MultiHeadAttention {
    /// Projects keys and values for [`Self::attend`].
    ///
    /// # Shapes
    /// - `key`, `value`: `[batch, keys, d_model]`
    pub fn project(&self, key: Tensor<3>, value: Tensor<3>) -> KeyValue {
        KeyValue {
            key: linear_layer(&self.key, key),
            value: linear_layer(&self.value, value),
        }
    }

    /// Attention of `query` over `key` and `value`, with output projection.
    ///
    /// # Shapes
    /// - `query`: `[batch, queries, d_model]`
    /// - `key`, `value`: `[batch, keys, d_model]`
    /// - output: `[batch, queries, d_model]`
    pub fn forward(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        self.attend(query, self.project(key, value), bias)
    }

    /// [`Self::forward`] over keys and values that have already been projected, such as those cached during generation.
    ///
    /// # Shapes
    /// - `query`: `[batch, queries, d_model]`
    /// - output: `[batch, queries, d_model]`
    pub fn attend(
        &self,
        query: Tensor<3>,
        kv: KeyValue,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let dropout_mask = DropoutMask::sample(&self.dropout, &query.device());
        let context = vlp_ops::attention(
            linear_layer(&self.query, query),
            kv.key,
            kv.value,
            bias.map(|bias| bias.0.clone()),
            dropout_mask,
            self.n_heads,
        );
        linear_layer(&self.output, context)
    }

    /// Attention weights, mean over heads, without dropout; each row sums to 1.
    ///
    /// # Shapes
    /// - `query`: `[batch, queries, d_model]`
    /// - `key`: `[batch, keys, d_model]`
    /// - output: `[batch, queries, keys]`
    pub fn attention_weights(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        bias: Option<&AttentionBias>,
    ) -> Tensor<3> {
        let split_heads = |x: Tensor<3>| {
            let [batch, length, width] = x.dims();
            x.reshape([batch, length, self.n_heads, width / self.n_heads])
                .swap_dims(1, 2)
        };
        let query = split_heads(linear_layer(&self.query, query));
        let scale = 1.0 / (query.dims()[3] as f64).sqrt();
        let key = split_heads(linear_layer(&self.key, key)).swap_dims(2, 3);
        let scores = matmul(query.mul_scalar(scale), key);
        let scores = match bias {
            Some(bias) => scores + bias.0.clone(),
            None => scores,
        };
        softmax(scores).mean_dim(1).squeeze_dim(1)
    }
}
