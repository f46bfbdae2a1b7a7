//! The objective by itself.

use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::{Distribution, TensorData, Tolerance};
use count_objects::{CountConfig, CountObjects};
use vlp_data::{Example, Examples, LabelSpace, ResizeRule, Scenes, ScenesConfig, Source};
use vlp_objectives::{Draft, Encoded, Objective, ObjectiveError, Tally};
use vlp_text::WordPieces;
use vlp_transformer::{Memory, TextEmbedding, TextEmbeddingConfig};

const WIDTH: usize = 8;

fn device() -> Device {
    vlp::device::pick("flex").unwrap()
}

fn count(max: usize) -> CountObjects {
    CountConfig { weight: 1.0, max }.init(WIDTH, &device())
}

fn words() -> TextEmbedding {
    TextEmbeddingConfig {
        vocab_size: 10,
        d_model: WIDTH,
        max_len: 4,
        types: 2,
        dropout: 0.0,
    }
    .init(&device())
}

fn encoded(words: &TextEmbedding, image: Option<Memory>) -> Encoded<'_> {
    Encoded {
        maps: vec![],
        text: None,
        joint_image: None,
        looks: None,
        image,
        grid: [1, 1],
        codes: None,
        text_encoder: None,
        words,
        decoder: None,
        caption_decoder: None,
    }
}

/// Random states, with `padding[row]` tokens of padding at the end of each row.
fn memory(tokens: usize, padding: &[usize]) -> Memory {
    let device = device();
    let shape = [padding.len(), tokens, WIDTH];
    let mask: Vec<bool> = (padding.iter())
        .flat_map(|&pad| (0..tokens).map(move |token| token >= tokens - pad))
        .collect();
    Memory {
        states: Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device),
        pos: Tensor::zeros(shape, &device),
        pad_mask: Tensor::from_data(TensorData::new(mask, [padding.len(), tokens]), &device),
    }
}

fn example() -> (Example, LabelSpace) {
    let scenes = Scenes::new(ScenesConfig {
        min_objects: 3,
        max_objects: 3,
        ..ScenesConfig::default()
    })
    .unwrap();
    let labels = scenes.labels().clone();
    let example = Examples::new(Arc::new(scenes), ResizeRule::Keep)
        .load(0, 0)
        .unwrap();
    (example, labels)
}

fn target(objective: &CountObjects, example: &Example, labels: &LabelSpace) -> Option<usize> {
    let pieces = WordPieces::scenes();
    let mut draft = Draft::new(example, 0, labels, &pieces, 28, 1);
    let text = draft.text.clone();
    let target = objective.prepare(&mut draft).unwrap();
    assert_eq!(draft.text, text, "counting leaves the text alone");
    target
}

#[test]
fn the_target_is_the_number_of_objects_where_it_is_known() {
    let (mut example, labels) = example();
    assert_eq!(target(&count(4), &example, &labels), Some(3));
    assert_eq!(
        target(&count(2), &example, &labels),
        Some(2),
        "cut at the greatest"
    );
    example.objects.as_mut().unwrap()[1].crowd = true;
    assert_eq!(target(&count(4), &example, &labels), None);
    example.objects = Some(vec![]);
    assert_eq!(target(&count(4), &example, &labels), Some(0));
    example.objects = None;
    assert_eq!(target(&count(4), &example, &labels), None);
}

#[test]
fn padding_does_not_change_the_logits() {
    let (objective, words) = (count(4), words());
    let padded = memory(6, &[0, 2]);
    let alone = Memory {
        states: padded.states.clone().slice([1..2, 0..4]),
        pos: padded.pos.clone().slice([1..2, 0..4]),
        pad_mask: padded.pad_mask.clone().slice([1..2, 0..4]),
    };
    let batch = objective.logits(&encoded(&words, Some(padded))).unwrap();
    let single = objective.logits(&encoded(&words, Some(alone))).unwrap();
    assert_eq!(batch.dims(), [2, 5]);
    // The same four states in another order of summation: a few units of f32's last place.
    batch
        .narrow(0, 1, 1)
        .into_data()
        .assert_approx_eq::<f32>(&single.into_data(), Tolerance::absolute(1e-5));
}

#[test]
fn pictures_without_a_known_count_do_not_matter() {
    let (objective, words) = (count(4), words());
    let memory = memory(6, &[0, 1, 2]);
    let first = memory
        .clone()
        .select(Tensor::from_ints([0, 2], &memory.states.device()));
    let all = encoded(&words, Some(memory));
    let loss = |encoded: &Encoded<'_>, targets: &[Option<usize>]| {
        let losses = objective.loss(encoded, targets).unwrap();
        losses.terms[0].2.clone().into_scalar::<f32>()
    };
    let some = loss(&all, &[Some(1), None, Some(4)]);
    let only = loss(&encoded(&words, Some(first)), &[Some(1), Some(4)]);
    assert!(some > 0.0 && (some - only).abs() < 1e-5, "{some} {only}");
    assert_eq!(loss(&all, &[None, None, None]), 0.0);

    let mut tally = Tally::default();
    objective
        .evaluate(&all, &[None, None, None], &mut tally)
        .unwrap();
    assert!(tally.scores(&WordPieces::scenes()).unwrap().is_empty());
}

#[test]
fn accuracy_is_the_share_of_right_counts() {
    let (objective, words) = (count(4), words());
    let all = encoded(&words, Some(memory(6, &[0, 1, 2])));
    let logits = objective.logits(&all).unwrap();
    let best = vlp_objectives::loss::argmax(logits);
    let wrong = (best[2] + 1) % 5;
    let mut tally = Tally::default();
    objective
        .evaluate(
            &all,
            &[Some(best[0]), Some(best[1]), Some(wrong)],
            &mut tally,
        )
        .unwrap();
    let scores = tally.scores(&WordPieces::scenes()).unwrap();
    assert_eq!(
        scores,
        vec![("count accuracy".to_string(), Some(2.0 / 3.0))]
    );
}

#[test]
fn a_model_without_the_image_only_pass_is_an_error_that_says_so() {
    let words = words();
    let error = count(4)
        .loss(&encoded(&words, None), &[Some(1)])
        .unwrap_err();
    assert!(matches!(
        error,
        ObjectiveError::Missing {
            objective: "count",
            ..
        }
    ));
}
