//! Scores of the next token on a GPU: one recorded graph for each token, and one small copy to the CPU.

use std::sync::MutexGuard;

use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use vlp_ops::capture::{Captured, Value};
use vlp_ops::to_cpu;
use vlp_transformer::{AttentionBias, KeyValue, Memory, StaticCache, TokenScorer};

use super::head::{CaptionHead, project};
use super::scorer::rows_of;
use crate::caption_graphs::{CaptionGraphs, CapturedStep, StepArgs};

/// The largest number of candidates that are chosen on the device, whose kernel keeps them in registers.
const MAX_TOP: usize = 16;

pub(super) struct CapturedScorer<'a> {
    step: MutexGuard<'a, CapturedStep>,
    /// Tensors of the memory: mask, bias, and keys and values of each layer.
    memory: Vec<Value>,
    /// Keys and values of the tokens of each layer.
    tokens: Vec<Value>,
    /// The row of the previous step that each row continues.
    parents: Vec<usize>,
    reorders: bool,
    position: usize,
    length: usize,
    device: Device,
}

impl<'a> CapturedScorer<'a> {
    /// `memory` has `beams` rows for each image; up to `length` tokens are scored.
    pub(super) fn new(
        head: &CaptionHead<'_>,
        memory: &Memory,
        beams: usize,
        length: usize,
        graphs: &'a CaptionGraphs,
    ) -> Self {
        let device = memory.states.device();
        let step = graphs.step(|| captured_step(head, &device));
        let cache = head.decoder.static_cache(memory, length);
        let mut values = vec![cache.memory_bias.into_scores().into()];
        values.extend(cache.memory.into_iter().flat_map(values_of));
        Self {
            step,
            memory: values,
            tokens: cache.tokens.into_iter().flat_map(values_of).collect(),
            parents: (0..memory.states.dims()[0]).collect(),
            reorders: beams > 1,
            position: 0,
            length,
            device,
        }
    }
}

impl TokenScorer for CapturedScorer<'_> {
    fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>> {
        let args = StepArgs {
            top: Some(count).filter(|&count| count <= MAX_TOP),
            reorders: self.reorders,
            rows: last.len(),
            length: self.length,
        };
        // One copy to the device for all that changes from token to token.
        let ids = last.iter().map(|&id| id as i32);
        let parents = self.parents.iter().map(|&row| row as i32);
        let offsets = (0..self.length).map(|position| position as i32 - self.position as i32);
        let control = ids.chain(parents).chain([self.position as i32]);
        let control: Vec<i32> = control.chain(offsets).collect();
        let control = Tensor::<1, Int>::from_ints(control.as_slice(), &self.device);
        let inputs: Vec<Value> = std::iter::once(control.into())
            .chain(self.memory.iter().cloned())
            .collect();
        let Ok((outputs, tokens)) = self.step.call_with_states(&args, &inputs, &self.tokens);
        self.tokens = tokens;
        self.position += 1;
        self.parents = (0..last.len()).collect();
        let scores: Tensor<2> = outputs[0].tensor();
        match args.top {
            Some(_) => tokens_of(scores),
            None => rows_of(scores, count),
        }
    }

    fn reorder(&mut self, rows: &[usize]) {
        self.parents = rows.to_vec();
    }
}

fn values_of(kv: KeyValue) -> [Value; 2] {
    [kv.key.into(), kv.value.into()]
}

/// Log-probabilities and tokens `[rows, 2 * count]`, copied to the CPU.
fn tokens_of(scores: Tensor<2>) -> Vec<Vec<(u32, f32)>> {
    let count = scores.dims()[1] / 2;
    let scores: Vec<f32> = to_cpu(scores).iter().collect();
    let rows = scores.chunks(2 * count).map(|row| {
        let (log_probs, tokens) = row.split_at(count);
        let tokens = tokens.iter().map(|&token| token as u32);
        tokens.zip(log_probs.iter().copied()).collect()
    });
    rows.collect()
}

/// The step: from the tokens chosen last to scores of the next ones. It has its own handles of the head's weights.
fn captured_step(head: &CaptionHead<'_>, device: &Device) -> CapturedStep {
    let (decoder, text) = (head.decoder.clone(), head.text_embedding.clone());
    let bias = head.bias.clone();
    let step = move |args: &StepArgs, values: &[Value]| {
        let rows = args.rows;
        let control: Tensor<1, Int> = values[0].tensor();
        let part = |start: usize, end: usize| control.clone().slice(start..end);
        let (ids, parents) = (part(0, rows), part(rows, 2 * rows));
        let position = part(2 * rows, 2 * rows + 1);
        let offsets = part(2 * rows + 1, 2 * rows + 1 + args.length);
        let memory_bias = AttentionBias::from_scores(values[1].tensor());
        let pairs = |values: &[Value]| -> Vec<KeyValue> {
            let pairs = values.chunks(2).map(|pair| KeyValue {
                key: pair[0].tensor(),
                value: pair[1].tensor(),
            });
            pairs.collect()
        };
        let (memory, tokens) = values[2..].split_at((values.len() - 2) / 2);
        let tokens = pairs(tokens).into_iter();
        let cache = StaticCache {
            memory: pairs(memory),
            memory_bias,
            tokens: match args.reorders {
                true => tokens.map(|kv| kv.select(parents.clone())).collect(),
                false => tokens.collect(),
            },
        };
        let x = text.forward_at(ids.reshape([rows, 1]), position);
        let (states, tokens) = decoder.step_at(x, offsets, cache);
        let logits = project(states.squeeze_dim(1), &text, &bias);
        let mut scores = log_softmax(logits, 1);
        if let Some(top) = args.top {
            let top = top.min(scores.dims()[1]);
            // Token ids are exact in f32, so that one copy suffices for both.
            let (log_probs, tokens) = scores.topk_with_indices(top, 1);
            scores = Tensor::cat(vec![log_probs, tokens.float()], 1);
        }
        let tokens = tokens.into_iter().flat_map(values_of);
        Ok(std::iter::once(scores.into()).chain(tokens).collect())
    };
    Captured::new("captions", device, step)
}
