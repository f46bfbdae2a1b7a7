//! Generation of captions, with cached keys and values.

use burn::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vlp_transformer::generation::{beam_search_all, sample};
use vlp_transformer::{GeneratedSequence, GenerationConfig, Sampling, TokenScorer};

use super::captured::CapturedScorer;
use super::head::CaptionHead;
use super::scorer::DynamicScorer;
use crate::caption_graphs::CaptionGraphs;

/// Generates captions of a batch of images.
#[derive(Debug)]
pub struct CaptionGenerator<'a> {
    head: CaptionHead<'a>,
    static_cache: bool,
}

impl<'a> CaptionGenerator<'a> {
    /// A generator with the given logits.
    pub fn new(head: CaptionHead<'a>) -> Self {
        let static_cache = head.graphs.is_some();
        Self { head, static_cache }
    }

    /// Whether keys and values of tokens are cached at a fixed length, so that a GPU can replay a graph; otherwise the cache
    /// grows with the tokens. By default the length is fixed if the head has [graphs](CaptionHead::graphs).
    #[must_use]
    pub fn with_static_cache(mut self, static_cache: bool) -> Self {
        self.static_cache = static_cache;
        self
    }

    /// The most probable caption of each image that beam search finds.
    pub fn beam_search(&self, config: &GenerationConfig) -> Vec<GeneratedSequence> {
        let beams = self.beams(config).into_iter();
        beams.filter_map(|beams| beams.into_iter().next()).collect()
    }

    /// The captions of all beams of each image, best score first: at least one.
    pub fn beams(&self, config: &GenerationConfig) -> Vec<Vec<GeneratedSequence>> {
        let config = self.limit_length(config);
        let beams = config.num_beams.max(1);
        self.with_scorer(beams, config.max_new_tokens, |scorer| {
            beam_search_all(scorer, self.images(), &config)
        })
    }

    /// A sampled caption of each image, a function of the image and its seed. A missing seed is 0; surplus ones are ignored.
    pub fn sample(
        &self,
        config: &GenerationConfig,
        sampling: &Sampling,
        seeds: &[u64],
    ) -> Vec<GeneratedSequence> {
        let images = 0..self.images();
        let seeds = images.map(|image| vec![seeds.get(image).copied().unwrap_or_default()]);
        let samples = self.samples(config, sampling, &seeds.collect::<Vec<_>>());
        samples.into_iter().flatten().collect()
    }

    /// Sampled captions of each image, as many as the first image has seeds, at least one. Every image should have that many
    /// seeds: a missing one is 0, and surplus ones are ignored.
    pub fn samples(
        &self,
        config: &GenerationConfig,
        sampling: &Sampling,
        seeds: &[Vec<u64>],
    ) -> Vec<Vec<GeneratedSequence>> {
        let count = seeds.first().map_or(0, Vec::len).max(1);
        let seed = |row: usize| {
            let seeds = seeds.get(row / count);
            seeds.and_then(|seeds| seeds.get(row % count))
        };
        let rows = self.images() * count;
        let mut generators: Vec<ChaCha8Rng> = (0..rows)
            .map(|row| ChaCha8Rng::seed_from_u64(seed(row).copied().unwrap_or_default()))
            .collect();
        let config = self.limit_length(config);
        let captions = self.with_scorer(count, config.max_new_tokens, |scorer| {
            sample(scorer, rows, &config, sampling, |row| {
                generators[row].random()
            })
        });
        let mut captions = captions.into_iter();
        let images = 0..self.images();
        images
            .map(|_| captions.by_ref().take(count).collect())
            .collect()
    }

    fn images(&self) -> usize {
        self.head.memory.states.dims()[0]
    }

    /// `config` with at most as many tokens as there are position embeddings.
    fn limit_length(&self, config: &GenerationConfig) -> GenerationConfig {
        let max_tokens = self.head.max_tokens(config.max_new_tokens);
        config.clone().with_max_new_tokens(max_tokens)
    }

    /// Runs `search` with scores of `beams` rows for each image; the rows of an image are consecutive.
    fn with_scorer<T>(
        &self,
        beams: usize,
        length: usize,
        search: impl FnOnce(&mut dyn TokenScorer) -> T,
    ) -> T {
        let memory = match beams {
            1 => self.head.memory.clone(),
            _ => {
                let rows = (0..self.images() * beams).map(|row| (row / beams) as i32);
                let rows: Vec<i32> = rows.collect();
                let device = self.head.memory.states.device();
                self.head
                    .memory
                    .select(Tensor::from_ints(rows.as_slice(), &device))
            }
        };
        if !self.static_cache {
            return search(&mut DynamicScorer::new(&self.head, &memory));
        }
        let new_graphs = CaptionGraphs::default();
        let graphs = self.head.graphs.unwrap_or(&new_graphs);
        let mut scorer = CapturedScorer::new(&self.head, &memory, beams, length.max(1), graphs);
        search(&mut scorer)
    }
}
