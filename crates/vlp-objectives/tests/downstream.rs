//! Questions, statements and hypotheses: targets, losses against their formulas, scores, and batches of all pairs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use burn::prelude::*;
use vlp_data::{
    AnswerVocabulary, Example, Examples, Label, ResizeRule, ScenesConfig, ScenesTask, Source, Task,
};
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{
    Batcher, HeadKind, ItmConfig, Nlvr2Config, ObjectiveError, ObjectiveSet, Pretrain,
    SnliVeConfig, Tally, VqaConfig, total,
};

/// Sums of a few hundred f32 terms.
const ROUNDING: f64 = 1e-4;

fn examples(task: Task, count: usize) -> Vec<Example> {
    let config = ScenesConfig {
        count: 64,
        ..ScenesConfig::default()
    };
    let source = Arc::new(ScenesTask::new(config, task).unwrap());
    let examples = Examples::new(source, ResizeRule::Square { side: 32 });
    (0..count).map(|i| examples.load(i, 0).unwrap()).collect()
}

fn vocabulary() -> AnswerVocabulary {
    let config = ScenesConfig {
        count: 64,
        ..ScenesConfig::default()
    };
    let source = ScenesTask::new(config, Task::Vqa).unwrap();
    let all: Vec<String> = (0..source.len())
        .filter_map(|i| source.consensus(i))
        .collect();
    AnswerVocabulary::build(all.iter().map(String::as_str), 1, str::to_lowercase)
}

fn host(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

#[test]
fn questions_are_scored_by_the_published_table_and_their_loss_is_binary_cross_entropy() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let answers = vocabulary();
    let mut examples = examples(Task::Vqa, 6);
    // A question without annotators adds nothing.
    examples[2].label = None;
    let batcher = Batcher {
        answers: Some(&answers),
        ..rig.batcher()
    };
    let vqa = VqaConfig {
        weight: 1.0,
        head: HeadKind::Linear,
    };
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(vqa.init(D_MODEL, answers.len(), &rig.device).unwrap()),
    };
    let batch = batcher
        .batch(&pretrain.objectives, &examples, &rig.device)
        .unwrap();
    let encoded = pretrain.encode(&batch).unwrap();
    let head = pretrain.objectives.as_ref().unwrap();
    let logits: Vec<f32> = head.logits(&encoded).unwrap().into_data().iter().collect();
    let (mut sum, mut known) = (0.0, 0.0);
    for (row, target) in batch.targets.iter().enumerate() {
        let target = target.as_ref().unwrap();
        let Some(Label::Answers(human)) = &examples[row].label else {
            assert!(target.human.is_empty() && target.scores.is_empty());
            continue;
        };
        known += 1.0;
        for answer in 0..answers.len() {
            let votes = human
                .iter()
                .filter(|h| answers.number(h) == Some(answer))
                .count();
            let score = [0.0, 0.3, 0.6, 0.9, 1.0][votes.min(4)];
            let x = f64::from(logits[row * answers.len() + answer]);
            let p = 1.0 / (1.0 + (-x).exp());
            sum -= score * p.ln() + (1.0 - score) * (1.0 - p).ln();
        }
    }
    let loss = total(&pretrain.losses(&batch).unwrap()).unwrap();
    assert!((host(loss) - sum / known).abs() < ROUNDING);
    let mut tally = Tally::default();
    pretrain
        .valid()
        .evaluate(
            &batch_inner(&pretrain.valid(), &batcher, &examples),
            &mut tally,
        )
        .unwrap();
    let scores = tally.scores(&rig.pieces).unwrap();
    let (name, value) = &scores[0];
    assert_eq!(name, "VQA accuracy");
    assert!((0.0..=1.0).contains(&value.unwrap()));
}

fn batch_inner<M: vlp_objectives::VisionLanguage, O: ObjectiveSet>(
    pretrain: &Pretrain<M, O>,
    batcher: &Batcher<'_>,
    examples: &[Example],
) -> vlp_objectives::Batch<O::Targets> {
    batcher
        .batch(&pretrain.objectives, examples, &Device::flex())
        .unwrap()
}

#[test]
fn a_head_without_answers_is_an_error() {
    let error = VqaConfig::default()
        .init(4, 0, &Device::flex())
        .unwrap_err();
    assert!(error.to_string().contains("answers"), "{error}");
}

#[test]
fn statements_join_left_and_right_and_single_pictures_are_an_error() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let examples = examples(Task::Nlvr2, 4);
    let pretrain = Pretrain {
        model: rig.model().unwrap().valid(),
        objectives: Some(Nlvr2Config::default().init(D_MODEL, &Device::flex())),
    };
    let batch = batch_inner(&pretrain, &rig.batcher(), &examples);
    assert_eq!(batch.image_of, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(batch.images.pixels.dims()[0], 8);
    assert_eq!(batch.ids[0], batch.ids[1]);
    let logits = |examples: &[Example]| -> Vec<f32> {
        let batch = batch_inner(&pretrain, &rig.batcher(), examples);
        let encoded = pretrain.encode(&batch).unwrap();
        let head = pretrain.objectives.as_ref().unwrap();
        head.logits(&encoded).unwrap().into_data().iter().collect()
    };
    let plain = logits(&examples);
    assert_eq!(plain.len(), 8);
    // The order of the pictures matters.
    let mut swapped = examples.clone();
    let left = swapped[0].pixels.clone();
    let second = swapped[0].second.as_mut().unwrap();
    let right = std::mem::replace(&mut second.pixels, left);
    swapped[0].pixels = right;
    assert!(
        logits(&swapped)
            .iter()
            .zip(&plain)
            .take(2)
            .any(|(a, b)| (a - b).abs() > 1e-4)
    );
    let mut tally = Tally::default();
    pretrain.evaluate(&batch, &mut tally).unwrap();
    let names: Vec<String> = tally
        .scores(&rig.pieces)
        .unwrap()
        .into_iter()
        .map(|s| s.0)
        .collect();
    assert_eq!(names, ["NLVR2 accuracy", "NLVR2 consistency"]);
    let single = batch_inner(&pretrain, &rig.batcher(), &rig.examples);
    assert!(matches!(
        pretrain.losses(&single),
        Err(ObjectiveError::Missing { .. })
    ));
}

#[test]
fn hypotheses_have_three_classes_and_unknown_ones_count_for_nothing() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let mut examples = examples(Task::SnliVe, 6);
    let pretrain = Pretrain {
        model: rig.model().unwrap().valid(),
        objectives: Some(SnliVeConfig::default().init(D_MODEL, &Device::flex())),
    };
    let loss = |examples: &[Example]| {
        let batch = batch_inner(&pretrain, &rig.batcher(), examples);
        host(total(&pretrain.losses(&batch).unwrap()).unwrap())
    };
    let labels: std::collections::BTreeSet<_> = examples
        .iter()
        .map(|e| match e.label {
            Some(Label::Entailment(label)) => label as usize,
            _ => panic!("{:?}", e.label),
        })
        .collect();
    assert_eq!(labels.len(), 3);
    let whole = loss(&examples[..5]);
    examples[5].label = None;
    // Padding of the longest text may round otherwise.
    assert!((loss(&examples) - whole).abs() < ROUNDING);
    examples.iter_mut().for_each(|e| e.label = None);
    assert_eq!(loss(&examples), 0.0);
}

#[test]
fn all_pairs_puts_every_text_beside_every_picture_and_only_its_own_match() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let batcher = Batcher {
        all_pairs: true,
        ..rig.batcher()
    };
    let itm = Some(ItmConfig::default().init(D_MODEL, &rig.device));
    let examples = &rig.examples[..3];
    let batch = batcher.batch(&itm, examples, &rig.device).unwrap();
    assert_eq!(batch.image_of, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    for (row, target) in batch.targets.iter().enumerate() {
        let (picture, text) = (row / 3, row % 3);
        let own = &examples[picture].captions;
        let same = picture == text || own.contains(&examples[text].texts[0]);
        assert_eq!(*target, Some(same));
        assert_eq!(batch.ids[row], batch.ids[text]);
    }
}

#[test]
fn blind_batches_show_nothing_and_balanced_matching_replaces_the_last_texts() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let itm = ItmConfig {
        balanced: true,
        ..ItmConfig::default()
    };
    let itm = Some(itm.init(D_MODEL, &rig.device));
    let batcher = Batcher {
        blind: true,
        ..rig.batcher()
    };
    let batch = batcher.batch(&itm, &rig.pairs, &rig.device).unwrap();
    let largest = batch.images.pixels.clone().abs().max().into_scalar::<f32>();
    assert_eq!(largest, 0.0);
    let pad = batch
        .images
        .pad_mask
        .clone()
        .int()
        .sum()
        .into_scalar::<i64>();
    assert_eq!(pad, 0, "what is hidden is not padding");
    for (example, targets) in rig.pairs.iter().zip(batch.targets.chunks(2)) {
        let foreign = !example.captions.contains(&example.distractors[1]);
        assert_eq!(targets, [Some(true), Some(!foreign)]);
    }
}

#[test]
fn a_picture_alone_is_hidden_and_padded_as_in_a_batch() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let device = Device::flex();
    let mut example = rig.examples[0].clone();
    (example.height, example.width) = (30, 20);
    example.pixels.truncate(3 * 30 * 20);
    for blind in [false, true] {
        let batcher = Batcher {
            blind,
            ..rig.batcher()
        };
        let alone = batcher.picture(&example, &device).unwrap();
        let one = std::slice::from_ref(&example);
        let batch = batcher.batch(&None::<vlp_objectives::Itm>, one, &device);
        let batch = batch.unwrap().images;
        assert_eq!(alone.pixels.dims(), [1, 3, 32, 24]);
        assert_eq!(alone.pixels.to_data(), batch.pixels.to_data());
        let seen = alone.pixels.abs().max().into_scalar::<f32>() > 0.0;
        assert_eq!(seen, !blind);
    }
}

#[test]
fn a_blind_pair_may_have_a_larger_second_picture() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let mut examples = examples(Task::Nlvr2, 1);
    let second = examples[0].second.as_mut().unwrap();
    (second.height, second.width) = (40, 48);
    second.pixels = vec![1.0; 3 * 40 * 48];
    let batcher = Batcher {
        blind: true,
        ..rig.batcher()
    };
    let nlvr2 = Some(Nlvr2Config::default().init(D_MODEL, &Device::flex()));
    let batch = batcher.batch(&nlvr2, &examples, &Device::flex()).unwrap();
    assert_eq!(batch.images.pixels.dims(), [2, 3, 40, 48]);
}
