//! Generation with a key/value cache against generation that recomputes every prefix.

use crate::common::{decoder, memory, random, randomize_weights, to_cpu};
use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use vlp_transformer::generation::{beam_search, most_probable};
use vlp_transformer::{
    AttentionBias, Decoder, DecoderCache, DecoderInput, GeneratedSequence, GenerationConfig,
    LayerConfig, Memory, TextEmbedding, TextEmbeddingConfig, TokenScorer,
};

const VOCAB: usize = 23;

struct Model {
    words: TextEmbedding,
    decoder: Decoder,
    head: Tensor<2>,
}

impl Model {
    fn new(seed: u64, device: &Device) -> Self {
        let words = TextEmbeddingConfig::new(VOCAB, 16)
            .with_max_positions(32)
            .with_type_vocab_size(1)
            .with_dropout(0.0);
        Self {
            words: randomize_weights(words.init(device).unwrap(), seed),
            decoder: randomize_weights(
                decoder(LayerConfig::detr(16, 4, 32, 0.0), 2, device),
                seed + 50,
            ),
            head: random([16, VOCAB], seed + 99, device),
        }
    }

    /// The most probable tokens after `states`, a row for each text.
    fn next_tokens(&self, states: Tensor<3>, count: usize) -> Vec<Vec<(u32, f32)>> {
        let [rows, length, width] = states.dims();
        let last = states
            .slice(s![.., length - 1..length])
            .reshape([rows, width]);
        let flat = to_cpu(log_softmax(last.matmul(self.head.clone()), 1));
        let row = |row: &[f64]| -> Vec<f32> { row.iter().map(|&v| v as f32).collect() };
        flat.chunks(VOCAB)
            .map(|values| most_probable(&row(values), count))
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
    position: usize,
    device: Device,
}

impl TokenScorer for Cached<'_> {
    fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>> {
        let last: Vec<Vec<u32>> = last.iter().map(|&id| vec![id]).collect();
        let x = self
            .model
            .words
            .forward_from(ids(&last, &self.device), self.position);
        self.position += 1;
        self.model
            .next_tokens(self.model.decoder.step(x, &mut self.cache), count)
    }

    fn reorder(&mut self, rows: &[usize]) {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
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

impl TokenScorer for Recomputed<'_> {
    fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>> {
        for (prefix, &id) in self.prefixes.iter_mut().zip(last) {
            prefix.push(id);
        }
        let length = self.prefixes[0].len();
        let states = self.model.decoder.forward(DecoderInput {
            x: self.model.words.forward(ids(&self.prefixes, &self.device)),
            query_pos: None,
            bias: Some(AttentionBias::causal(length, &self.device)),
            memory: self.memory,
        });
        self.model.next_tokens(states, count)
    }

    fn reorder(&mut self, rows: &[usize]) {
        self.prefixes = rows.iter().map(|&row| self.prefixes[row].clone()).collect();
    }
}

fn cached_and_recomputed(
    seed: u64,
    config: &GenerationConfig,
    device: &Device,
) -> (Vec<GeneratedSequence>, Vec<GeneratedSequence>) {
    let model = Model::new(seed, device);
    let images = 3;
    let rows: Vec<i32> = (0..images * config.num_beams)
        .map(|row| (row / config.num_beams) as i32)
        .collect();
    let memory = memory(images, 6, 16, device).select(Tensor::from_ints(rows.as_slice(), device));
    let mut cached = Cached {
        model: &model,
        cache: model.decoder.cache(&memory),
        position: 0,
        device: device.clone(),
    };
    let mut recomputed = Recomputed {
        model: &model,
        memory: &memory,
        prefixes: vec![vec![]; rows.len()],
        device: device.clone(),
    };
    (
        beam_search(&mut cached, images, config),
        beam_search(&mut recomputed, images, config),
    )
}

#[test]
fn cached_generation_equals_recomputed_generation() {
    let mut lengths = std::collections::BTreeSet::new();
    for device in [Device::flex(), Device::flex().autodiff()] {
        for seed in 0..5 {
            for (num_beams, length_penalty) in [(1, 0.0), (2, 0.0), (4, 1.0)] {
                let config = GenerationConfig::greedy(1, 2, 12)
                    .with_num_beams(num_beams)
                    .with_length_penalty(length_penalty);
                let (cached, recomputed) = cached_and_recomputed(seed, &config, &device);
                for (a, b) in cached.iter().zip(&recomputed) {
                    assert_eq!(a.ids, b.ids, "seed {seed}, {num_beams} beams");
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
        "all texts have the same length: {lengths:?}"
    );
}

#[test]
fn exhaustive_search_scores_no_worse_than_greedy_search() {
    // With a beam for each token the search over texts of two tokens is exhaustive.
    for seed in 0..3 {
        let config = |num_beams| GenerationConfig::greedy(1, 2, 2).with_num_beams(num_beams);
        let (greedy, _) = cached_and_recomputed(seed, &config(1), &Device::flex());
        let (wide, _) = cached_and_recomputed(seed, &config(VOCAB), &Device::flex());
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
fn step_equals_the_last_position_of_a_full_pass() {
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
    for position in 0..9 {
        let step = decoder.step(x.clone().slice(s![.., position..position + 1]), &mut cache);
        let expected = full.clone().slice(s![.., position..position + 1]);
        // Normalized states; the order of sums differs.
        assert!(
            crate::common::max_abs_diff(step, expected) < 2e-5,
            "position {position}"
        );
    }
}

#[test]
fn generated_text_does_not_depend_on_the_rest_of_the_batch() {
    let device = Device::flex();
    for seed in 0..4 {
        let model = Model::new(seed, &device);
        let images = memory(3, 6, 16, &device);
        for num_beams in [1, 3] {
            let config = GenerationConfig::greedy(1, 2, 10).with_num_beams(num_beams);
            let run = |rows: &[i32]| {
                let rows: Vec<i32> = rows.iter().flat_map(|&row| vec![row; num_beams]).collect();
                let memory = images.select(Tensor::from_ints(rows.as_slice(), &device));
                let mut cached = Cached {
                    model: &model,
                    cache: model.decoder.cache(&memory),
                    position: 0,
                    device: device.clone(),
                };
                beam_search(&mut cached, rows.len() / num_beams, &config)
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
fn min_new_tokens_and_no_repeat_ngram_size_are_respected() {
    let device = Device::flex();
    for seed in 0..4 {
        for num_beams in [1, 3] {
            let config = GenerationConfig::greedy(1, 2, 12)
                .with_num_beams(num_beams)
                .with_min_new_tokens(5)
                .with_no_repeat_ngram_size(2);
            let (cached, recomputed) = cached_and_recomputed(seed, &config, &device);
            for (a, b) in cached.iter().zip(&recomputed) {
                assert_eq!(a.ids, b.ids, "seed {seed}, {num_beams} beams");
                assert!(a.ids.len() >= 5, "{:?}", a.ids);
                let mut bigrams: Vec<&[u32]> = a.ids.windows(2).collect();
                let count = bigrams.len();
                bigrams.sort_unstable();
                bigrams.dedup();
                assert_eq!(bigrams.len(), count, "a bigram occurs twice: {:?}", a.ids);
            }
        }
    }
}
