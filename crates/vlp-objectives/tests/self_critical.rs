//! Self-critical training increases the reward of generated captions.
//!
//! In a program of its own: graphs that other tests never run backward slow every backward pass of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "objectives/common/mod.rs"]
mod common;

use std::sync::Arc;

use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use common::{randomize_weights, scalar, to_cpu};
use vlp_eval::caption::CiderCorpus;
use vlp_objectives::testing::Rig;
use vlp_objectives::{
    CaptionReward, Captioning, CaptioningConfig, CiderReward, ObjectiveError, Pretrain,
    SelfCritical, total,
};

/// Rewards the fraction of tokens below a limit.
#[derive(Debug)]
struct SmallTokenFraction(u32);

impl CaptionReward for SmallTokenFraction {
    fn score(&self, ids: &[u32], _references: &[String]) -> f64 {
        let count = ids.iter().filter(|&&id| id < self.0).count();
        count as f64 / ids.len().max(1) as f64
    }
}

fn captioner(rig: &Rig, samples: usize) -> Captioning {
    captioner_of(rig, samples, 6)
}

fn captioner_of(rig: &Rig, samples: usize, max_new_tokens: usize) -> Captioning {
    let config = CaptioningConfig::default()
        .with_max_new_tokens(max_new_tokens)
        .with_self_critical(Some(SelfCritical::default().with_samples(samples)));
    config.init(rig.tokenizer.vocab_size(), &rig.device)
}

#[test]
fn training_increases_the_reward() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    for samples in [1, 4] {
        // Half of all tokens, so that random captions have some.
        let reward = Arc::new(SmallTokenFraction(rig.tokenizer.vocab_size() as u32 / 2));
        let mut pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(captioner(&rig, samples).with_reward(reward)),
        };
        pretrain = randomize_weights(pretrain, 2);
        let mut optimizer = AdamConfig::new().init();
        let mut rewards = vec![];
        for epoch in 0..60 {
            let mut examples = rig.examples[..4].to_vec();
            examples.iter_mut().for_each(|e| e.epoch = epoch);
            let batch = rig
                .collator()
                .collate(&pretrain.objectives, &examples, &rig.device)
                .unwrap();
            let losses = pretrain.losses(&batch).unwrap();
            let repeated = pretrain.losses(&batch).unwrap();
            assert_eq!(
                losses[0].1.diagnostics, repeated[0].1.diagnostics,
                "samples must depend on the examples alone"
            );
            rewards.push(losses[0].1.diagnostics[0].1);
            let grads = total(&losses).unwrap().backward();
            let grads = GradientsParams::from_grads(grads, &pretrain);
            pretrain = optimizer.step(0.02, pretrain, grads);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (first, last) = (mean(&rewards[..10]), mean(&rewards[50..]));
        assert!(
            last > first + 0.3,
            "{samples} samples: reward {first} to {last}"
        );
    }
}

#[test]
fn equal_rewards_give_zero_loss_and_no_reward_is_an_error() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    let loss = |captioning: Captioning| {
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(captioning),
        };
        let pretrain = randomize_weights(pretrain, 4);
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, &rig.examples[..3], &rig.device)
            .unwrap();
        pretrain
            .losses(&batch)
            .map(|l| to_cpu(total(&l).unwrap())[0])
    };
    // No token is below 0: every caption has the reward of the greedy one.
    let none = loss(captioner(&rig, 1).with_reward(Arc::new(SmallTokenFraction(0))));
    assert_eq!(none.unwrap(), 0.0);
    let error = loss(captioner(&rig, 1)).unwrap_err();
    assert!(matches!(
        error,
        ObjectiveError::Config {
            key: "self_critical",
            ..
        }
    ));
}

/// Rewards the number of tokens.
#[derive(Debug)]
struct Length;

impl CaptionReward for Length {
    fn score(&self, ids: &[u32], _references: &[String]) -> f64 {
        ids.len() as f64
    }
}

#[test]
fn captions_as_long_as_there_are_positions_have_a_loss() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    let positions = rig.collator().max_text_len;
    let reward = |max_new_tokens: usize| {
        let captioning = captioner_of(&rig, 2, max_new_tokens);
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(captioning.with_reward(Arc::new(Length))),
        };
        let pretrain = randomize_weights(pretrain, 2);
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, &rig.examples, &rig.device)
            .unwrap();
        let losses = pretrain.losses(&batch).unwrap();
        assert!(scalar(total(&losses).unwrap()).is_finite());
        losses[0].1.diagnostics[0].1
    };
    // Some captions are cut by each limit.
    let [shorter, longest] = [positions - 1, positions].map(reward);
    assert!(longest > shorter, "{longest} {shorter}");
    assert_eq!(reward(positions + 1), longest);
}

#[test]
fn cider_rewards_words_of_the_references() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let captions: Vec<Vec<String>> = rig.examples.iter().map(|e| e.captions.clone()).collect();
    let reward = CiderReward {
        corpus: CiderCorpus::new(captions.iter().map(Vec::as_slice)),
        tokenizer: rig.tokenizer.clone(),
    };
    let score = |text: &str| {
        let ids = rig.tokenizer.encode(text, 40).ids;
        reward.score(&ids[1..ids.len() - 1], &captions[0])
    };
    let (reference, other) = (score(&captions[0][0]), score("circle"));
    assert!(reference > 1.0 && reference > other, "{reference} {other}");
}
