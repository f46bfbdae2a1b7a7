//! Scores of the next token without recorded graphs: keys and values are appended to a cache that grows.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use vlp_ops::to_cpu;
use vlp_transformer::generation::most_probable;
use vlp_transformer::{DecoderCache, Memory, TokenScorer};

use super::head::CaptionHead;

pub(super) struct DynamicScorer<'a> {
    head: &'a CaptionHead<'a>,
    cache: DecoderCache,
    position: usize,
    device: Device,
}

impl<'a> DynamicScorer<'a> {
    /// `memory` has a row for each beam.
    pub(super) fn new(head: &'a CaptionHead<'a>, memory: &Memory) -> Self {
        Self {
            head,
            cache: head.decoder.cache(memory),
            position: 0,
            device: memory.states.device(),
        }
    }
}

impl TokenScorer for DynamicScorer<'_> {
    fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>> {
        let ids: Vec<i32> = last.iter().map(|&id| id as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [last.len(), 1]), &self.device);
        let x = self.head.text_embedding.forward_from(ids, self.position);
        let states = self.head.decoder.step(x, &mut self.cache);
        self.position += 1;
        let logits = self.head.project(states.squeeze_dim(1));
        rows_of(log_softmax(logits, 1), count)
    }

    fn reorder(&mut self, rows: &[usize]) {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        self.cache
            .reorder(Tensor::from_ints(rows.as_slice(), &self.device));
    }
}

/// The `count` most probable tokens of each row of log-probabilities `[rows, vocab]`, copied to the CPU.
pub(super) fn rows_of(log_probs: Tensor<2>, count: usize) -> Vec<Vec<(u32, f32)>> {
    let vocab = log_probs.dims()[1];
    let log_probs: Vec<f32> = to_cpu(log_probs).iter().collect();
    let rows = log_probs.chunks(vocab);
    rows.map(|row| most_probable(row, count)).collect()
}
