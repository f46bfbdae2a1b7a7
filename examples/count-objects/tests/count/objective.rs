//! The objective by itself.

use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::{Distribution, TensorData, Tolerance};
use count_objects::{CountConfig, CountObjects};
use vlp_data::{Example, Examples, LabelSpace, ResizeRule, Source};
use vlp_objectives::testing::{self, D_MODEL, Rig};
use vlp_objectives::{
    EncoderOutput, EncoderPasses, Metrics, Objective, ObjectiveError, ObjectiveSet, PairBuilder,
    Score, VisionLanguage,
};
use vlp_scenes::{Scenes, ScenesConfig};
use vlp_text::WordPieceTokenizer;
use vlp_transformer::Memory;

fn device() -> Device {
    vlp::device::pick("flex").unwrap()
}

fn count(max: usize) -> CountObjects {
    CountConfig { weight: 1.0, max }.init(D_MODEL, &device())
}

/// Random states, with `padding[row]` tokens of padding at the end of each row.
fn memory(tokens: usize, padding: &[usize]) -> Memory {
    let device = device();
    let shape = [padding.len(), tokens, D_MODEL];
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
    let scenes = Scenes::new(
        ScenesConfig::default()
            .with_min_objects(3)
            .with_max_objects(3),
    )
    .unwrap();
    let labels = scenes.labels().clone();
    let example = Examples::new(Arc::new(scenes), ResizeRule::Keep)
        .load(0, 0)
        .unwrap();
    (example, labels)
}

fn target(objective: &CountObjects, example: &Example, labels: &LabelSpace) -> Option<usize> {
    let tokenizer = WordPieceTokenizer::scenes();
    let mut pair = PairBuilder::new(example, 0, labels, &tokenizer, 28, 1);
    let text = pair.text.clone();
    let target = objective.prepare(&mut pair).unwrap();
    assert_eq!(pair.text, text, "counting does not change the text");
    target
}

/// Passes the output of the kit's model with `image` for the image-only pass to `test`.
fn with_output<T>(image: Option<Memory>, test: impl FnOnce(&EncoderOutput<'_>) -> T) -> T {
    let rig = Rig::new(&device()).unwrap();
    let model = rig.model().unwrap().valid();
    let collator = rig.collator();
    let batch = collator
        .collate(&Some(count(4)), &rig.examples[..1], &device())
        .unwrap();
    let output = model.encode(&batch.inputs(), EncoderPasses::NONE).unwrap();
    test(&EncoderOutput { image, ..output })
}

#[test]
fn objective_conforms() {
    testing::check(&device(), |rig| {
        Ok(CountConfig::default().init(D_MODEL, &rig.device))
    })
    .unwrap();
}

#[test]
fn target_is_the_number_of_objects_if_it_is_known() {
    let (mut example, labels) = example();
    assert_eq!(target(&count(4), &example, &labels), Some(3));
    assert_eq!(target(&count(2), &example, &labels), Some(2));
    example.objects.as_mut().unwrap()[1].crowd = true;
    assert_eq!(target(&count(4), &example, &labels), None);
    example.objects = Some(vec![]);
    assert_eq!(target(&count(4), &example, &labels), Some(0));
    example.objects = None;
    assert_eq!(target(&count(4), &example, &labels), None);
}

#[test]
fn padding_does_not_change_the_logits() {
    let objective = count(4);
    let padded = memory(6, &[0, 2]);
    let alone = Memory {
        states: padded.states.clone().slice([1..2, 0..4]),
        pos: padded.pos.clone().slice([1..2, 0..4]),
        pad_mask: padded.pad_mask.clone().slice([1..2, 0..4]),
    };
    let (batch, alone) = (objective.logits(&padded), objective.logits(&alone));
    assert_eq!(batch.dims(), [2, 5]);
    // The same four states, added in another order.
    batch
        .narrow(0, 1, 1)
        .into_data()
        .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
}

#[test]
fn images_with_unknown_count_do_not_change_the_loss() {
    let objective = count(4);
    let all = memory(6, &[0, 1, 2]);
    let labeled = all.select(Tensor::from_ints([0, 2], &device()));
    let loss = |image: &Memory, targets: &[&Option<usize>]| {
        with_output(Some(image.clone()), |output| {
            let losses = objective.loss(output, targets).unwrap();
            losses.terms[0].value.clone().into_scalar::<f32>()
        })
    };
    let with_unknown = loss(&all, &[&Some(1), &None, &Some(4)]);
    let without = loss(&labeled, &[&Some(1), &Some(4)]);
    assert!(with_unknown > 0.0 && (with_unknown - without).abs() < 1e-5);
    assert_eq!(loss(&all, &[&None, &None, &None]), 0.0);
}

#[test]
fn accuracy_is_the_fraction_of_right_counts() {
    let objective = count(4);
    let image = memory(6, &[0, 1, 2, 0]);
    let counts = vlp_objectives::loss::argmax(objective.logits(&image));
    let right = [Some(counts[0]), Some(counts[1])];
    let wrong = Some((counts[2] + 1) % 5);
    let targets = [&right[0], &right[1], &wrong, &None];
    let rig = Rig::new(&device()).unwrap();
    let scores = with_output(Some(image), |output| {
        let mut metrics = count_objects::CountMetrics::default();
        objective.evaluate(output, &targets, &mut metrics).unwrap();
        metrics.scores(&rig.metric_context()).unwrap()
    });
    assert_eq!(scores, [Score::higher("count/accuracy", Some(2.0 / 3.0))]);
}

#[test]
fn missing_image_only_pass_is_an_error() {
    let set = Some(count(4));
    let targets = [Some(Some(1))];
    let targets = vlp_objectives::Targets::new(&targets, &[0]);
    let error = with_output(None, |output| set.losses(output, &targets).unwrap_err());
    let is_expected = matches!(
        error,
        ObjectiveError::Missing {
            objective: "count",
            ..
        }
    );
    assert!(is_expected, "{error}");
}
