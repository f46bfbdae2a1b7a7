//! Questions, statements and hypotheses: targets, losses against their formulas and metrics; batches of all pairs.

use burn::prelude::*;
use vlp_data::{Example, Label};
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{
    Batch, Collator, HeadKind, Itc, ItmConfig, Metrics, Nlvr2Config, ObjectiveError, ObjectiveSet,
    Predictions, Pretrain, Score, SnliVeConfig, VisionLanguage, VqaConfig, total,
};
use vlp_scenes::Task;

/// Sums of a few hundred f32 terms.
const ROUNDING: f64 = 1e-4;

fn rig(task: Task) -> Rig {
    Rig::for_task(task, &Device::flex()).unwrap()
}

fn value(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// A batch without autodiff.
fn collate<O: ObjectiveSet>(
    collator: &Collator<'_>,
    objectives: &O,
    examples: &[Example],
) -> Batch<O::Targets> {
    collator
        .collate(objectives, examples, &Device::flex())
        .unwrap()
}

fn scores<M: VisionLanguage, O: ObjectiveSet>(
    rig: &Rig,
    pretrain: &Pretrain<M, O>,
    examples: &[Example],
) -> Vec<Score> {
    let batch = collate(&rig.collator(), &pretrain.objectives, examples);
    let mut metrics = pretrain.metrics();
    pretrain.evaluate(&batch, &mut metrics).unwrap();
    metrics.scores(&rig.metric_context()).unwrap()
}

fn names(scores: &[Score]) -> Vec<&str> {
    scores.iter().map(|score| score.name.as_str()).collect()
}

#[test]
fn vqa_loss_is_binary_cross_entropy_of_the_published_soft_scores() {
    let rig = rig(Task::Vqa);
    let vocabulary = rig.answers.as_ref().unwrap();
    let mut examples = rig.examples[..6].to_vec();
    // A question without annotators does not count.
    examples[2].label = None;
    let config = VqaConfig::default().with_head(HeadKind::Linear);
    let vqa = config.init(D_MODEL, vocabulary.len(), &rig.device).unwrap();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(vqa),
    };
    let batch = rig
        .collator()
        .collate(&pretrain.objectives, &examples, &rig.device)
        .unwrap();
    let output = pretrain.encode(&batch).unwrap();
    let head = pretrain.objectives.as_ref().unwrap();
    let logits = head.logits(output.joint().text.cls()).into_data();
    let logits: Vec<f32> = logits.iter().collect();
    let (mut sum, mut labeled) = (0.0, 0.0);
    for (row, target) in batch.targets.iter().flatten().enumerate() {
        let Some(Label::Answers(human)) = &examples[row].label else {
            assert!(target.human.is_empty() && target.scores.is_empty());
            continue;
        };
        labeled += 1.0;
        for answer in 0..vocabulary.len() {
            let annotators = human
                .iter()
                .filter(|human| vocabulary.index(human) == Some(answer))
                .count();
            let score = [0.0, 0.3, 0.6, 0.9, 1.0][annotators.min(4)];
            let x = f64::from(logits[row * vocabulary.len() + answer]);
            let p = 1.0 / (1.0 + (-x).exp());
            sum -= score * p.ln() + (1.0 - score) * (1.0 - p).ln();
        }
    }
    let loss = total(&pretrain.losses(&batch).unwrap()).unwrap();
    assert!((value(loss) - sum / labeled).abs() < ROUNDING);
    let scores = scores(&rig, &pretrain.valid(), &examples);
    let expected = [
        "vqa/accuracy",
        "vqa/accuracy_yes_no",
        "vqa/accuracy_number",
        "vqa/accuracy_other",
    ];
    assert_eq!(names(&scores), expected);
    assert!((0.0..=1.0).contains(&scores[0].value.unwrap()));
}

#[test]
fn vqa_without_answers_is_an_error() {
    let error = VqaConfig::default()
        .init(4, 0, &Device::flex())
        .unwrap_err();
    assert!(error.to_string().contains("answers"), "{error}");
}

#[test]
fn nlvr2_joins_left_and_right_and_rejects_single_images() {
    let rig = rig(Task::Nlvr2);
    let examples = &rig.examples[..4];
    let pretrain = Pretrain {
        model: rig.model().unwrap().valid(),
        objectives: Some(Nlvr2Config::default().init(D_MODEL, &Device::flex())),
    };
    let batch = collate(&rig.collator(), &pretrain.objectives, examples);
    assert_eq!(batch.pairing.image_index(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(batch.images.pixels.dims()[0], 8);
    assert_eq!(batch.ids[0], batch.ids[1]);
    assert_eq!(batch.targets.len(), 4);
    assert_eq!(batch.target_index, [0, 0, 1, 1, 2, 2, 3, 3]);
    let logits = |examples: &[Example]| -> Vec<f32> {
        let batch = collate(&rig.collator(), &pretrain.objectives, examples);
        let output = pretrain.encode(&batch).unwrap();
        let head = pretrain.objectives.as_ref().unwrap();
        head.logits(output.joint().text.cls())
            .into_data()
            .iter()
            .collect()
    };
    let original = logits(examples);
    assert_eq!(original.len(), 8);
    // The order of the images matters.
    let mut swapped = examples.to_vec();
    let left = swapped[0].pixels.clone();
    let second = swapped[0].second_image.as_mut().unwrap();
    let right = std::mem::replace(&mut second.pixels, left);
    swapped[0].pixels = right;
    let swapped = logits(&swapped);
    let mut statement = swapped.iter().zip(&original).take(2);
    assert!(statement.any(|(a, b)| (a - b).abs() > 1e-4));
    let scores = scores(&rig, &pretrain, examples);
    assert_eq!(names(&scores), ["nlvr2/accuracy", "nlvr2/consistency"]);

    let collator = Collator {
        all_pairs: true,
        ..rig.collator()
    };
    assert!(matches!(
        collator.collate(&pretrain.objectives, examples, &Device::flex()),
        Err(ObjectiveError::TwoImages { .. })
    ));
    let captions = Rig::new(&Device::flex()).unwrap();
    let single = collate(
        &captions.collator(),
        &pretrain.objectives,
        &captions.examples,
    );
    assert!(matches!(
        pretrain.losses(&single),
        Err(ObjectiveError::GroupSize { size: 2, .. })
    ));
}

#[test]
fn nlvr2_predicts_all_statements_and_scores_those_with_a_label() {
    let rig = rig(Task::Nlvr2);
    let pretrain = Pretrain {
        model: rig.model().unwrap().valid(),
        objectives: Some(Nlvr2Config::default().init(D_MODEL, &Device::flex())),
    };
    let context = rig.metric_context();
    let evaluate = |examples: &[Example]| {
        let mut merged = pretrain.metrics();
        for example in examples {
            let examples = std::slice::from_ref(example);
            let batch = collate(&rig.collator(), &pretrain.objectives, examples);
            let mut metrics = pretrain.metrics();
            pretrain.evaluate(&batch, &mut metrics).unwrap();
            merged.merge(metrics);
        }
        let mut predictions = Predictions::default();
        merged.predictions(&context, &mut predictions);
        let accuracy = merged.scores(&context).unwrap()[0].value;
        (predictions.statements, accuracy)
    };
    let mut examples = rig.examples.clone();
    let (labeled, _) = evaluate(&examples);
    let (_, accuracy) = evaluate(&examples[3..]);
    examples[..3].iter_mut().for_each(|e| e.label = None);
    assert_eq!(evaluate(&examples), (labeled, accuracy));
    examples.iter_mut().for_each(|e| e.label = None);
    let (predictions, accuracy) = evaluate(&examples);
    assert_eq!((predictions.len(), accuracy), (examples.len(), None));
}

#[test]
fn snli_ve_ignores_hypotheses_without_label() {
    let rig = rig(Task::SnliVe);
    let mut examples = rig.examples[..6].to_vec();
    let pretrain = Pretrain {
        model: rig.model().unwrap().valid(),
        objectives: Some(SnliVeConfig::default().init(D_MODEL, &Device::flex())),
    };
    let loss = |examples: &[Example]| {
        let batch = collate(&rig.collator(), &pretrain.objectives, examples);
        value(total(&pretrain.losses(&batch).unwrap()).unwrap())
    };
    let labels: std::collections::BTreeSet<_> = examples
        .iter()
        .map(|example| match example.label {
            Some(Label::Entailment(label)) => label as usize,
            _ => panic!("{:?}", example.label),
        })
        .collect();
    assert_eq!(labels.len(), 3);
    let labeled = loss(&examples[..5]);
    examples[5].label = None;
    // Padding to the longest text may round differently.
    assert!((loss(&examples) - labeled).abs() < ROUNDING);
}

#[test]
fn all_pairs_pairs_every_image_with_every_text() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let collator = Collator {
        all_pairs: true,
        ..rig.collator()
    };
    let itm = Some(ItmConfig::default().init(D_MODEL, &rig.device));
    let examples = &rig.examples[..3];
    let batch = collator.collate(&itm, examples, &rig.device).unwrap();
    assert_eq!(batch.pairing.image_index(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    for (row, target) in batch.targets.iter().enumerate() {
        let (image, text) = (row / 3, row % 3);
        let captions = &examples[image].captions;
        let matched = image == text || captions.contains(&examples[text].texts[0]);
        assert_eq!(*target, Some(matched));
        assert_eq!(batch.ids[row], batch.ids[text]);
    }
}

#[test]
fn hidden_images_are_zero_and_not_padding() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let collator = Collator {
        hide_images: true,
        ..rig.collator()
    };
    let images = collate(&collator, &None::<Itc>, &rig.examples).images;
    assert_eq!(images.pixels.abs().max().into_scalar::<f32>(), 0.0);
    assert_eq!(images.pad_mask.int().sum().into_scalar::<i64>(), 0);
}

#[test]
fn balanced_matching_replaces_the_last_texts_of_an_image() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = ItmConfig::default().with_balanced(true);
    let itm = Some(config.init(D_MODEL, &rig.device));
    let batch = collate(&rig.collator(), &itm, &rig.two_text_examples);
    let targets = batch.targets.chunks(2);
    for (example, targets) in rig.two_text_examples.iter().zip(targets) {
        let is_negative = !example.captions.contains(&example.negative_captions[1]);
        assert_eq!(targets, [Some(true), Some(!is_negative)]);
    }
}

#[test]
fn one_image_is_hidden_and_padded_as_in_a_batch() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let device = Device::flex();
    let mut example = rig.examples[0].clone();
    (example.height, example.width) = (30, 20);
    example.pixels.truncate(3 * 30 * 20);
    for hide_images in [false, true] {
        let collator = Collator {
            hide_images,
            ..rig.collator()
        };
        let alone = collator.image(&example, &device).unwrap();
        let one = std::slice::from_ref(&example);
        let batch = collate(&collator, &None::<Itc>, one).images;
        assert_eq!(alone.pixels.dims(), [1, 3, 32, 24]);
        assert_eq!(alone.pixels.to_data(), batch.pixels.to_data());
        let visible = alone.pixels.abs().max().into_scalar::<f32>() > 0.0;
        assert_eq!(visible, !hide_images);
    }
}

#[test]
fn a_hidden_second_image_may_be_the_larger_one() {
    let rig = rig(Task::Nlvr2);
    let mut example = rig.examples[0].clone();
    let second = example.second_image.as_mut().unwrap();
    (second.height, second.width) = (40, 48);
    second.pixels = vec![1.0; 3 * 40 * 48];
    let collator = Collator {
        hide_images: true,
        ..rig.collator()
    };
    let nlvr2 = Some(Nlvr2Config::default().init(D_MODEL, &Device::flex()));
    let images = collate(&collator, &nlvr2, &[example]).images;
    assert_eq!(images.pixels.dims(), [2, 3, 40, 48]);
}
