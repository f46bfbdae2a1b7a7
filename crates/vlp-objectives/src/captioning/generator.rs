//! Generation of captions, with cached keys and values.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vlp_transformer::generation::{beam_search, sample};
use vlp_transformer::{DecoderCache, GeneratedSequence, GenerationConfig, Sampling, TokenScorer};

use super::head::CaptionHead;

/// Generates captions of a batch of images.
#[derive(Debug)]
pub struct CaptionGenerator<'a> {
    head: CaptionHead<'a>,
}

impl<'a> CaptionGenerator<'a> {
    /// A generator with the given logits.
    pub fn new(head: CaptionHead<'a>) -> Self {
        Self { head }
    }

    /// The most probable caption of each image that beam search finds.
    pub fn beam_search(&self, config: &GenerationConfig) -> Vec<GeneratedSequence> {
        let mut scorer = self.scorer(config.num_beams.max(1));
        beam_search(&mut scorer, self.images(), &self.limit_length(config))
    }

    /// A random caption of each image: the same for the same seed.
    pub fn sample(
        &self,
        config: &GenerationConfig,
        sampling: &Sampling,
        seeds: &[u64],
    ) -> Vec<GeneratedSequence> {
        let seed = |image: usize| seeds.get(image).copied().unwrap_or_default();
        let mut generators: Vec<ChaCha8Rng> = (0..self.images())
            .map(|image| ChaCha8Rng::seed_from_u64(seed(image)))
            .collect();
        let mut scorer = self.scorer(1);
        let config = self.limit_length(config);
        sample(&mut scorer, self.images(), &config, sampling, |image| {
            generators[image].random()
        })
    }

    fn images(&self) -> usize {
        self.head.memory.states.dims()[0]
    }

    /// `config` with as many tokens as there are position embeddings, at most.
    fn limit_length(&self, config: &GenerationConfig) -> GenerationConfig {
        let most = self.head.text_embedding.max_positions().saturating_sub(1);
        GenerationConfig {
            max_new_tokens: config.max_new_tokens.min(most),
            ..config.clone()
        }
    }

    /// Scores `beams` rows per image; the rows of an image are consecutive.
    fn scorer(&self, beams: usize) -> CachedScorer<'_> {
        let memory = self.head.memory;
        let device = memory.states.device();
        let rows = (0..self.images() * beams).map(|row| (row / beams) as i32);
        let cache = match beams {
            1 => self.head.decoder.cache(memory),
            _ => {
                let rows: Vec<i32> = rows.collect();
                let rows = Tensor::from_ints(rows.as_slice(), &device);
                self.head.decoder.cache(&memory.select(rows))
            }
        };
        CachedScorer {
            head: &self.head,
            cache,
            position: 0,
            device,
        }
    }
}

struct CachedScorer<'a> {
    head: &'a CaptionHead<'a>,
    cache: DecoderCache,
    position: usize,
    device: Device,
}

impl TokenScorer for CachedScorer<'_> {
    fn next_log_probs(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
        let ids: Vec<i32> = last.iter().map(|&id| id as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [last.len(), 1]), &self.device);
        let x = self.head.text_embedding.forward_from(ids, self.position);
        let states = self.head.decoder.step(x, &mut self.cache);
        self.position += 1;
        let logits = self.head.project(states.squeeze_dim(1));
        let vocab = logits.dims()[1];
        let log_probs: Vec<f32> = log_softmax(logits, 1).into_data().iter().collect();
        log_probs.chunks(vocab).map(<[f32]>::to_vec).collect()
    }

    fn reorder(&mut self, rows: &[usize]) {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        self.cache
            .reorder(Tensor::from_ints(rows.as_slice(), &self.device));
    }
}
