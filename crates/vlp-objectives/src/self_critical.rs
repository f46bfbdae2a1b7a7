//! Self-critical training of captions: the reward of what the model writes itself (Rennie et al., CVPR 2017).

use std::fmt::Debug;

use burn::module::Module;
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_eval::caption::CiderCorpus;
use vlp_text::WordPieces;
use vlp_transformer::{Memory, Sampling};

use crate::captioning::{CaptionTarget, Captioning};
use crate::encoded::Encoded;
use crate::error::ObjectiveError;
use crate::objective::Losses;
use crate::writer::Writer;

const NAME: &str = "caption";

/// Configuration of self-critical training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelfCritical {
    /// Captions drawn of each picture. One is compared with the greedy caption (Rennie et al.), several each with the mean
    /// of the others (Cornia et al., CVPR 2020, with samples for beams).
    pub samples: usize,
    /// Training pictures, at most, whose captions say which words are rare.
    pub documents: usize,
}

impl Default for SelfCritical {
    /// One sample against the greedy caption; as many documents as Karpathy's split of COCO has.
    fn default() -> Self {
        Self {
            samples: 1,
            documents: 113_287,
        }
    }
}

/// How good a caption is.
pub trait CaptionReward: Send + Sync + Debug {
    /// Reward of the tokens between the first and the last one, given all captions that people wrote.
    fn score(&self, ids: &[u32], references: &[String]) -> f64;
}

/// CIDEr-D, with the rarity of n-grams among training captions.
#[derive(Debug)]
pub struct CiderReward {
    /// What is rare.
    pub corpus: CiderCorpus,
    /// Turns tokens into words.
    pub pieces: WordPieces,
}

impl CaptionReward for CiderReward {
    fn score(&self, ids: &[u32], references: &[String]) -> f64 {
        self.corpus.score(&self.pieces.decode(ids), references)
    }
}

impl Captioning {
    /// With the reward that self-critical training needs.
    #[must_use]
    pub fn with_reward(mut self, reward: std::sync::Arc<dyn CaptionReward>) -> Self {
        self.reward = Some(reward);
        self
    }
}

/// Minus the advantage of drawn captions times the log-probabilities of their tokens, mean over tokens.
pub(crate) fn loss(
    own: &Captioning,
    config: &SelfCritical,
    encoded: &Encoded<'_>,
    targets: &[CaptionTarget],
) -> Result<Losses, ObjectiveError> {
    let Some(reward) = &own.reward else {
        return Err(ObjectiveError::Config {
            objective: NAME,
            key: "self_critical",
            value: "on".into(),
            hint: "give the objective a reward (Captioning::with_reward)".into(),
        });
    };
    let device = encoded.words.words().device();
    let Some(first) = targets.first() else {
        return Ok(Losses::one(
            NAME,
            own.config.weight,
            Tensor::zeros([1], &device),
        ));
    };
    let (bos, eos) = first.ends;
    let score = |ids: &[u32], target: &CaptionTarget| reward.score(ids, &target.references);
    let (drawn, greedy) = write(own, config, encoded, targets)?;
    let rewards: Vec<Vec<f64>> = drawn
        .iter()
        .map(|texts| {
            texts
                .iter()
                .zip(targets)
                .map(|(t, of)| score(t, of))
                .collect()
        })
        .collect();
    let samples = drawn.len();
    let base = |sample: usize, image: usize| match &greedy {
        Some(greedy) => score(&greedy[image], &targets[image]),
        None => {
            let all: f64 = rewards.iter().map(|r| r[image]).sum();
            (all - rewards[sample][image]) / (samples - 1) as f64
        }
    };
    let (mut sum, mut tokens) = (Tensor::zeros([1], &device), 0);
    for (sample, texts) in drawn.iter().enumerate() {
        // A text that was cut short has no end to be learned.
        let room = own
            .config
            .max_len
            .min(encoded.words.max_len().saturating_sub(1));
        let whole: Vec<Vec<u32>> = texts
            .iter()
            .map(|ids| {
                let end = (ids.len() < room).then_some(eos);
                std::iter::once(bos)
                    .chain(ids.iter().copied())
                    .chain(end)
                    .collect()
            })
            .collect();
        let rows: Vec<&[u32]> = whole.iter().map(Vec::as_slice).collect();
        let Some((logits, labels)) = own.teach(encoded, &rows, first.pad)? else {
            continue;
        };
        let advantages: Vec<f32> = rows
            .iter()
            .enumerate()
            .flat_map(|(image, ids)| {
                let advantage = rewards[sample][image] - base(sample, image);
                vec![advantage as f32; ids.len() - 1]
            })
            .collect();
        tokens += labels.len();
        let chosen = vlp_ops::log_prob(logits, &labels);
        let advantages = Tensor::<1>::from_floats(advantages.as_slice(), &device);
        sum = sum + (chosen * advantages).sum().neg();
    }
    let count = (samples * targets.len()) as f64;
    let mean = rewards.iter().flatten().sum::<f64>() / count;
    Ok(Losses {
        terms: vec![(
            NAME.into(),
            own.config.weight,
            sum.div_scalar(tokens.max(1) as f64),
        )],
        report: vec![("reward".into(), mean)],
    })
}

type Texts = Vec<Vec<u32>>;

/// Drawn captions, one list a sample, and the greedy ones where they are what to compare with. Without gradients.
fn write(
    own: &Captioning,
    config: &SelfCritical,
    encoded: &Encoded<'_>,
    targets: &[CaptionTarget],
) -> Result<(Vec<Texts>, Option<Texts>), ObjectiveError> {
    let memory = encoded.image(NAME)?;
    let memory = Memory {
        states: memory.states.clone().inner(),
        pos: memory.pos.clone().inner(),
        pad_mask: memory.pad_mask.clone().inner(),
    };
    let (head, decoder, words) = match encoded.words.words().is_autodiff() {
        true => (
            own.valid(),
            own.decoder(encoded)?.valid(),
            encoded.words.valid(),
        ),
        false => (
            own.clone(),
            own.decoder(encoded)?.clone(),
            encoded.words.clone(),
        ),
    };
    let writer = Writer {
        head: &head,
        decoder: &decoder,
        words: &words,
        memory: &memory,
    };
    let ends = targets.first().map_or((0, 0), |t| t.ends);
    let mut search = own.config.generation(ends.0, ends.1);
    search.beams = 1;
    let sampling = own.config.sampling.unwrap_or_default();
    let ids = |found: Vec<vlp_transformer::Generated>| found.into_iter().map(|g| g.ids).collect();
    let samples = config.samples.max(1);
    let drawn = (0..samples as u64).map(|sample| {
        let seeds: Vec<u64> = targets
            .iter()
            .map(|t| {
                t.draw
                    .wrapping_add(sample.wrapping_mul(0x9E37_79B9_7F4A_7C15))
            })
            .collect();
        ids(writer.sample(&search, &Sampling { ..sampling }, &seeds))
    });
    let drawn = drawn.collect();
    let greedy = (samples == 1).then(|| ids(writer.search(&search)));
    Ok((drawn, greedy))
}
