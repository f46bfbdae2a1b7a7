//! Generation with a cache against generation that recomputes every prefix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use common::{decoder, host, memory, random, redraw};
use vlp_transformer::generate::{Generated, generate};
use vlp_transformer::{
    AttentionBias, Decoder, DecoderCache, DecoderInput, GenerationConfig, LayerConfig, Memory,
    NextToken, TextEmbedding, TextEmbeddingConfig,
};

const VOCAB: usize = 23;

struct Model {
    words: TextEmbedding,
    decoder: Decoder,
    head: Tensor<2>,
}

impl Model {
    fn new(seed: u64, device: &Device) -> Self {
        let words = TextEmbeddingConfig {
            vocab_size: VOCAB,
            d_model: 16,
            max_len: 32,
            types: 1,
            dropout: 0.0,
        };
        Self {
            words: redraw(words.init(device), seed),
            decoder: redraw(
                decoder(LayerConfig::detr(16, 4, 32, 0.0), 2, device),
                seed + 50,
            ),
            head: random([16, VOCAB], seed + 99, device),
        }
    }

    /// Log-probabilities after the last of `states`.
    fn score(&self, states: Tensor<3>) -> Vec<Vec<f32>> {
        let [rows, length, width] = states.dims();
        let last = states
            .slice(s![.., length - 1..length])
            .reshape([rows, width]);
        let flat = host(log_softmax(last.matmul(self.head.clone()), 1));
        flat.chunks(VOCAB)
            .map(|row| row.iter().map(|&v| v as f32).collect())
            .collect()
    }
}

fn ids(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let length = rows[0].len();
    let flat: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), length]), device)
}

struct Cached<'a> {
    model: &'a Model,
    cache: DecoderCache,
    place: usize,
    device: Device,
}

impl NextToken for Cached<'_> {
    fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
        let last: Vec<Vec<u32>> = last.iter().map(|&id| vec![id]).collect();
        let x = self
            .model
            .words
            .forward_at(ids(&last, &self.device), self.place);
        self.place += 1;
        self.model
            .score(self.model.decoder.step(x, &mut self.cache))
    }

    fn reorder(&mut self, rows: &[usize]) {
        let rows: Vec<i32> = rows.iter().map(|&r| r as i32).collect();
        self.cache
            .reorder(Tensor::from_ints(rows.as_slice(), &self.device));
    }
}

struct Recomputed<'a> {
    model: &'a Model,
    memory: &'a Memory,
    prefixes: Vec<Vec<u32>>,
    device: Device,
}

impl NextToken for Recomputed<'_> {
    fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
        for (prefix, &id) in self.prefixes.iter_mut().zip(last) {
            prefix.push(id);
        }
        let length = self.prefixes[0].len();
        self.model.score(self.model.decoder.forward(DecoderInput {
            x: self.model.words.forward(ids(&self.prefixes, &self.device)),
            query_pos: None,
            bias: Some(AttentionBias::causal(length, &self.device)),
            memory: self.memory,
        }))
    }

    fn reorder(&mut self, rows: &[usize]) {
        self.prefixes = rows.iter().map(|&row| self.prefixes[row].clone()).collect();
    }
}

fn both(seed: u64, config: &GenerationConfig, device: &Device) -> (Vec<Generated>, Vec<Generated>) {
    let model = Model::new(seed, device);
    let images = 3;
    let rows: Vec<i32> = (0..images * config.beams)
        .map(|row| (row / config.beams) as i32)
        .collect();
    let memory = memory(images, 6, 16, device).select(Tensor::from_ints(rows.as_slice(), device));
    let mut cached = Cached {
        model: &model,
        cache: model.decoder.cache(&memory),
        place: 0,
        device: device.clone(),
    };
    let mut recomputed = Recomputed {
        model: &model,
        memory: &memory,
        prefixes: vec![vec![]; rows.len()],
        device: device.clone(),
    };
    (
        generate(&mut cached, images, config),
        generate(&mut recomputed, images, config),
    )
}

#[test]
fn cached_equals_recomputed_greedy_and_with_beams() {
    let mut lengths = std::collections::BTreeSet::new();
    for device in [Device::flex(), Device::flex().autodiff()] {
        for seed in 0..5 {
            for (beams, length_penalty) in [(1, 0.0), (2, 0.0), (4, 1.0)] {
                let config = GenerationConfig {
                    beams,
                    length_penalty,
                    ..GenerationConfig::greedy(1, 2, 12)
                };
                let (cached, recomputed) = both(seed, &config, &device);
                for (a, b) in cached.iter().zip(&recomputed) {
                    assert_eq!(a.ids, b.ids, "seed {seed}, {beams} beams");
                    // Sums of up to 12 log-probabilities of f32.
                    assert!((a.score - b.score).abs() < 1e-4, "{} {}", a.score, b.score);
                    assert!(a.ids.len() <= 12 && !a.ids.contains(&2));
                    lengths.insert(a.ids.len());
                }
            }
        }
    }
    assert!(
        lengths.len() > 1,
        "texts of one length show little: {lengths:?}"
    );
}

#[test]
fn more_beams_never_score_worse_than_greedy_where_all_is_searched() {
    // As many beams as there are texts of two tokens: the search is exhaustive.
    for seed in 0..3 {
        let config = |beams| GenerationConfig {
            beams,
            ..GenerationConfig::greedy(1, 2, 2)
        };
        let (greedy, _) = both(seed, &config(1), &Device::flex());
        let (wide, _) = both(seed, &config(VOCAB), &Device::flex());
        for (greedy, wide) in greedy.iter().zip(&wide) {
            assert!(
                wide.score >= greedy.score - 1e-6,
                "{} {}",
                wide.score,
                greedy.score
            );
        }
    }
}

#[test]
fn one_step_is_the_last_place_of_a_full_pass() {
    let device = Device::flex();
    let decoder = decoder(LayerConfig::detr(16, 4, 32, 0.0), 3, &device);
    let memory = memory(2, 6, 16, &device);
    let x = random([2, 9, 16], 5, &device);
    let full = decoder.forward(DecoderInput {
        x: x.clone(),
        query_pos: None,
        bias: Some(AttentionBias::causal(9, &device)),
        memory: &memory,
    });
    let mut cache = decoder.cache(&memory);
    for place in 0..9 {
        let step = decoder.step(x.clone().slice(s![.., place..place + 1]), &mut cache);
        let want = full.clone().slice(s![.., place..place + 1]);
        // States of size 1 after a norm; the order of sums differs.
        assert!(common::distance(step, want) < 2e-5, "place {place}");
    }
}

#[test]
fn a_text_does_not_depend_on_the_rest_of_the_batch() {
    let device = Device::flex();
    for seed in 0..4 {
        let model = Model::new(seed, &device);
        let all = memory(3, 6, 16, &device);
        for beams in [1, 3] {
            let config = GenerationConfig {
                beams,
                ..GenerationConfig::greedy(1, 2, 10)
            };
            let run = |rows: &[i32]| {
                let rows: Vec<i32> = rows.iter().flat_map(|&row| vec![row; beams]).collect();
                let memory = all.select(Tensor::from_ints(rows.as_slice(), &device));
                let mut cached = Cached {
                    model: &model,
                    cache: model.decoder.cache(&memory),
                    place: 0,
                    device: device.clone(),
                };
                generate(&mut cached, rows.len() / beams, &config)
            };
            let together = run(&[0, 1, 2]);
            for (row, text) in together.iter().enumerate() {
                assert_eq!(
                    run(&[row as i32])[0].ids,
                    text.ids,
                    "seed {seed}, image {row}"
                );
            }
        }
    }
}

#[test]
fn texts_keep_to_their_limits() {
    let device = Device::flex();
    for seed in 0..4 {
        for beams in [1, 3] {
            let config = GenerationConfig {
                beams,
                min_len: 5,
                no_repeat: 2,
                ..GenerationConfig::greedy(1, 2, 12)
            };
            let (cached, recomputed) = both(seed, &config, &device);
            for (a, b) in cached.iter().zip(&recomputed) {
                assert_eq!(a.ids, b.ids, "seed {seed}, {beams} beams");
                assert!(a.ids.len() >= 5, "{:?}", a.ids);
                let mut pairs: Vec<&[u32]> = a.ids.windows(2).collect();
                let count = pairs.len();
                pairs.sort_unstable();
                pairs.dedup();
                assert_eq!(pairs.len(), count, "a pair occurs twice: {:?}", a.ids);
            }
        }
    }
}
