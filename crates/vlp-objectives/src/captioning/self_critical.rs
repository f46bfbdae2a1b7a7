//! Self-critical training: the reward of sampled captions (Rennie et al., CVPR 2017).

use burn::module::Module;
use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::log_prob;
use vlp_transformer::{GeneratedSequence, GenerationConfig, Memory, Sampling};

use super::generator::CaptionGenerator;
use super::head::CaptionHead;
use super::reward::CaptionReward;
use crate::loss::zero;

/// Configuration of self-critical training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct SelfCritical {
    /// Number of captions sampled for each image. With one, the baseline is the reward of the greedy caption (Rennie et
    /// al.); with several, the mean reward of the others (Cornia et al., CVPR 2020, who use beams instead of samples).
    pub samples: usize,
    /// Maximum number of training images whose captions define CIDEr-D's document frequencies.
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

/// An image whose captions are rewarded.
#[derive(Debug)]
pub(super) struct RewardedImage<'a> {
    /// Reference captions.
    pub references: &'a [String],
    /// Seed of the sampled captions.
    pub seed: u64,
}

/// How captions are sampled and rewarded.
#[derive(Debug)]
pub(super) struct SelfCriticalLoss<'a> {
    pub samples: usize,
    pub reward: &'a dyn CaptionReward,
    /// Greedy search with the token ids of a caption.
    pub greedy: GenerationConfig,
    pub sampling: Sampling,
    pub pad: u32,
}

type Captions = Vec<Vec<u32>>;

impl SelfCriticalLoss<'_> {
    /// Returns the loss `[1]`, minus the advantage of sampled captions times the log-probabilities of their tokens,
    /// mean over tokens; and the mean reward.
    pub(super) fn compute(
        &self,
        head: &CaptionHead<'_>,
        images: &[RewardedImage<'_>],
    ) -> (Tensor<1>, f64) {
        let device = head.memory.states.device();
        let (sampled, greedy) = self.generate(head, images);
        let rewards = |captions: &Captions| -> Vec<f64> {
            let captions = captions.iter().zip(images);
            captions
                .map(|(ids, image)| self.reward.score(ids, image.references))
                .collect()
        };
        let greedy_rewards = greedy.as_ref().map(rewards);
        let sampled_rewards: Vec<Vec<f64>> = sampled.iter().map(rewards).collect();
        let baseline = |sample: usize, image: usize| match &greedy_rewards {
            Some(rewards) => rewards[image],
            None => {
                let sum: f64 = sampled_rewards.iter().map(|rewards| rewards[image]).sum();
                (sum - sampled_rewards[sample][image]) / (sampled.len() - 1) as f64
            }
        };
        let (mut sum, mut tokens) = (zero(&device), 0);
        for (sample, captions) in sampled.iter().enumerate() {
            let texts: Vec<Vec<u32>> = captions
                .iter()
                .map(|ids| self.with_ends(head, ids))
                .collect();
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let Some((logits, labels)) = head.teacher_forced_logits(&texts, self.pad, None) else {
                continue;
            };
            let advantages: Vec<f32> = texts
                .iter()
                .enumerate()
                .flat_map(|(image, ids)| {
                    let advantage = sampled_rewards[sample][image] - baseline(sample, image);
                    vec![advantage as f32; ids.len() - 1]
                })
                .collect();
            tokens += labels.len();
            let advantages = Tensor::<1>::from_floats(advantages.as_slice(), &device);
            sum = sum + (log_prob(logits, &labels) * advantages).sum().neg();
        }
        let count = (sampled.len() * images.len()).max(1) as f64;
        let mean_reward = sampled_rewards.iter().flatten().sum::<f64>() / count;
        (sum.div_scalar(tokens.max(1) as f64), mean_reward)
    }

    /// A caption with `bos`, and with `eos` unless it was cut.
    fn with_ends(&self, head: &CaptionHead<'_>, ids: &[u32]) -> Vec<u32> {
        let max_tokens = head.max_tokens(self.greedy.max_new_tokens);
        let eos = (ids.len() < max_tokens).then_some(self.greedy.eos);
        let bos = std::iter::once(self.greedy.bos);
        bos.chain(ids.iter().copied()).chain(eos).collect()
    }

    /// Sampled captions, one list per sample, and greedy ones if they are the baseline. Without gradients.
    fn generate(
        &self,
        head: &CaptionHead<'_>,
        images: &[RewardedImage<'_>],
    ) -> (Vec<Captions>, Option<Captions>) {
        let memory = Memory {
            states: head.memory.states.clone().inner(),
            pos: head.memory.pos.clone().inner(),
            pad_mask: head.memory.pad_mask.clone().inner(),
        };
        let (decoder, text_embedding) = match head.bias.is_autodiff() {
            true => (head.decoder.valid(), head.text_embedding.valid()),
            false => (head.decoder.clone(), head.text_embedding.clone()),
        };
        let generator = CaptionGenerator::new(CaptionHead {
            bias: head.bias.clone().inner(),
            decoder: &decoder,
            text_embedding: &text_embedding,
            memory: &memory,
            graphs: None,
        });
        let seeds = images.iter().map(|image| {
            let offset = |sample: u64| sample.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let samples = 0..self.samples as u64;
            let seeds = samples.map(|sample| image.seed.wrapping_add(offset(sample)));
            seeds.collect()
        });
        let seeds: Vec<Vec<u64>> = seeds.collect();
        let by_image = generator.samples(&self.greedy, &self.sampling, &seeds);
        let ids = |sequence: &GeneratedSequence| sequence.ids.clone();
        let sampled = (0..self.samples)
            .map(|sample| by_image.iter().map(|texts| ids(&texts[sample])).collect())
            .collect();
        let greedy = (self.samples == 1).then(|| {
            let texts = generator.beam_search(&self.greedy);
            texts.iter().map(ids).collect()
        });
        (sampled, greedy)
    }
}
