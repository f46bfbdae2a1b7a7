//! Captions one token at a time, keys and values kept.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vlp_transformer::generate::{Generated, GenerationConfig, NextToken, generate};
use vlp_transformer::sample::{Sampling, sample};
use vlp_transformer::{Decoder, DecoderCache, Memory, TextEmbedding};

use crate::captioning::Captioning;

/// What writes captions of a batch of pictures.
pub(crate) struct Writer<'a> {
    pub(crate) head: &'a Captioning,
    pub(crate) decoder: &'a Decoder,
    pub(crate) words: &'a TextEmbedding,
    pub(crate) memory: &'a Memory,
}

impl Writer<'_> {
    /// The most probable caption of each picture.
    pub(crate) fn search(&self, config: &GenerationConfig) -> Vec<Generated> {
        let images = self.memory.states.dims()[0];
        let mut scorer = self.scorer(config.beams.max(1));
        generate(&mut scorer, images, &self.limited(config))
    }

    /// A drawn caption of each picture, one seed a picture.
    pub(crate) fn sample(
        &self,
        config: &GenerationConfig,
        sampling: &Sampling,
        seeds: &[u64],
    ) -> Vec<Generated> {
        let images = self.memory.states.dims()[0];
        let mut draws: Vec<ChaCha8Rng> = (0..images)
            .map(|row| ChaCha8Rng::seed_from_u64(seeds.get(row).copied().unwrap_or_default()))
            .collect();
        let mut scorer = self.scorer(1);
        let config = self.limited(config);
        sample(&mut scorer, images, &config, sampling, |row| {
            draws[row].random()
        })
    }

    /// No text outgrows the table of positions.
    fn limited(&self, config: &GenerationConfig) -> GenerationConfig {
        let room = self.words.max_len().saturating_sub(1);
        GenerationConfig {
            max_len: config.max_len.min(room),
            ..config.clone()
        }
    }

    /// `copies` rows for each picture, side by side.
    fn scorer(&self, copies: usize) -> Cached<'_> {
        let images = self.memory.states.dims()[0];
        let device = self.memory.states.device();
        let rows: Vec<i32> = (0..images * copies)
            .map(|row| (row / copies) as i32)
            .collect();
        let cache = match copies {
            1 => self.decoder.cache(self.memory),
            _ => {
                let rows = Tensor::from_ints(rows.as_slice(), &device);
                self.decoder.cache(&self.memory.select(rows))
            }
        };
        Cached {
            head: self.head,
            decoder: self.decoder,
            words: self.words,
            cache,
            place: 0,
            device,
        }
    }
}

struct Cached<'a> {
    head: &'a Captioning,
    decoder: &'a Decoder,
    words: &'a TextEmbedding,
    cache: DecoderCache,
    place: usize,
    device: Device,
}

impl NextToken for Cached<'_> {
    fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
        let ids: Vec<i32> = last.iter().map(|&id| id as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [last.len(), 1]), &self.device);
        let x = self
            .decoder
            .step(self.words.forward_at(ids, self.place), &mut self.cache);
        self.place += 1;
        let logits = self.head.head(x.squeeze_dim(1), self.words.words());
        let vocab = logits.dims()[1];
        let flat: Vec<f32> = log_softmax(logits, 1).into_data().iter().collect();
        flat.chunks(vocab).map(<[f32]>::to_vec).collect()
    }

    fn reorder(&mut self, rows: &[usize]) {
        let rows: Vec<i32> = rows.iter().map(|&r| r as i32).collect();
        self.cache
            .reorder(Tensor::from_ints(rows.as_slice(), &self.device));
    }
}
