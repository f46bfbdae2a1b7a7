//! Self-critical training: what is rewarded is written more often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use common::{host, redraw};
use vlp_eval::caption::CiderCorpus;
use vlp_objectives::testing::Rig;
use vlp_objectives::{
    CaptionReward, Captioning, CaptioningConfig, CiderReward, ObjectiveError, Pretrain,
    SelfCritical, total,
};

/// The share of tokens below a limit among those written.
#[derive(Debug)]
struct Share(u32);

impl CaptionReward for Share {
    fn score(&self, ids: &[u32], _references: &[String]) -> f64 {
        let count = ids.iter().filter(|&&id| id < self.0).count();
        count as f64 / ids.len().max(1) as f64
    }
}

fn captioner(rig: &Rig, samples: usize) -> Captioning {
    let config = CaptioningConfig {
        max_len: 6,
        self_critical: Some(SelfCritical {
            samples,
            ..SelfCritical::default()
        }),
        ..CaptioningConfig::default()
    };
    config.init(rig.pieces.vocab_size(), &rig.device)
}

#[test]
fn what_is_rewarded_is_written_more_often() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    for samples in [1, 4] {
        // Half of all tokens: chance finds them often enough to be rewarded.
        let reward = Arc::new(Share(rig.pieces.vocab_size() as u32 / 2));
        let mut pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(captioner(&rig, samples).with_reward(reward)),
        };
        pretrain = redraw(pretrain, 2);
        let mut optimizer = AdamConfig::new().init();
        let mut rewards = vec![];
        for epoch in 0..60 {
            let mut examples = rig.examples[..4].to_vec();
            examples.iter_mut().for_each(|e| e.epoch = epoch);
            let batch = rig
                .batcher()
                .batch(&pretrain.objectives, &examples, &rig.device)
                .unwrap();
            let losses = pretrain.losses(&batch).unwrap();
            let again = pretrain.losses(&batch).unwrap();
            assert_eq!(
                losses[0].1.report, again[0].1.report,
                "what is drawn is a function of the examples"
            );
            rewards.push(losses[0].1.report[0].1);
            let grads = total(&losses).unwrap().backward();
            let grads = GradientsParams::from_grads(grads, &pretrain);
            pretrain = optimizer.step(0.02, pretrain, grads);
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&rewards[..10]), mean(&rewards[50..]));
        assert!(
            last > first + 0.3,
            "{samples} samples: reward {first} to {last}"
        );
    }
}

#[test]
fn equal_rewards_move_nothing_and_no_reward_is_an_error() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    let gradient = |own: Captioning| {
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(own),
        };
        let pretrain = redraw(pretrain, 4);
        let batch = rig
            .batcher()
            .batch(&pretrain.objectives, &rig.examples[..3], &rig.device)
            .unwrap();
        pretrain.losses(&batch).map(|l| host(total(&l).unwrap())[0])
    };
    // No token is below 0: every caption is as good as the greedy one.
    let none = gradient(captioner(&rig, 1).with_reward(Arc::new(Share(0))));
    assert_eq!(none.unwrap(), 0.0);
    let error = gradient(captioner(&rig, 1)).unwrap_err();
    assert!(matches!(
        error,
        ObjectiveError::Config {
            key: "self_critical",
            ..
        }
    ));
}

#[test]
fn cider_rewards_the_words_of_the_references() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let captions: Vec<Vec<String>> = rig.examples.iter().map(|e| e.captions.clone()).collect();
    let reward = CiderReward {
        corpus: CiderCorpus::new(captions.iter().map(Vec::as_slice)),
        pieces: rig.pieces.clone(),
    };
    let score = |text: &str| {
        let ids = rig.pieces.encode(text, 40).ids;
        reward.score(&ids[1..ids.len() - 1], &captions[0])
    };
    let own = score(&captions[0][0]);
    assert!(own > 1.0, "{own}");
    assert!(own > score("circle"), "{own} {}", score("circle"));
}
