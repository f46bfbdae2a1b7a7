//! Decoding token by token with constant shapes, so that a GPU can replay a recorded step.

use burn::prelude::*;

use super::Decoder;
use crate::attention::{AttentionBias, KeyValue};
use crate::memory::Memory;

/// Keys and values of the memory and of a fixed number of tokens, for [`Decoder::step_at`].
#[derive(Debug, Clone)]
pub struct StaticCache {
    /// Keys and values of the memory, for each layer.
    pub memory: Vec<KeyValue>,
    /// Mask of the memory.
    pub memory_bias: AttentionBias,
    /// Keys and values of the tokens, `[batch, length, d_model]`, for each layer; positions without a token hold arbitrary
    /// finite numbers.
    pub tokens: Vec<KeyValue>,
}

impl Decoder {
    /// A cache over `memory` for up to `length` tokens.
    pub fn static_cache(&self, memory: &Memory, length: usize) -> StaticCache {
        let cache = self.cache(memory);
        let [batch, _, width] = memory.states.dims();
        let empty = || Tensor::zeros([batch, length, width], &memory.states.device());
        let tokens = self.layers.iter().map(|_| KeyValue {
            key: empty(),
            value: empty(),
        });
        StaticCache {
            tokens: tokens.collect(),
            memory: cache.layers.into_iter().map(|layer| layer.memory).collect(),
            memory_bias: cache.memory_bias,
        }
    }

    /// As [`Self::step`], but also returns the keys and values of all tokens, the new one included; they replace
    /// [`StaticCache::tokens`].
    ///
    /// # Shapes
    /// - `x`: embedded token, `[batch, 1, d_model]`
    /// - `offsets`: position in the cache minus position of the token, `[length]`
    /// - output: `[batch, 1, d_model]`
    pub fn step_at(
        &self,
        mut x: Tensor<3>,
        offsets: Tensor<1, Int>,
        cache: StaticCache,
    ) -> (Tensor<3>, Vec<KeyValue>) {
        let length = offsets.dims()[0];
        let is_here = offsets.clone().equal_elem(0).reshape([1, length, 1]);
        let bias = AttentionBias::later(offsets);
        let mut tokens = Vec::with_capacity(self.layers.len());
        let layers = self.layers.iter().zip(cache.tokens).zip(cache.memory);
        for ((layer, before), memory) in layers {
            let token = layer.self_attention.project(x.clone(), x.clone());
            let write = |all: Tensor<3>, new: Tensor<3>| {
                let shape = all.dims();
                all.mask_where(is_here.clone().expand(shape), new.expand(shape))
            };
            let written = KeyValue {
                key: write(before.key, token.key),
                value: write(before.value, token.value),
            };
            tokens.push(written.clone());
            x = layer.attend(x, None, written, Some(&bias), memory, &cache.memory_bias);
        }
        (self.norm.forward(x), tokens)
    }
}
