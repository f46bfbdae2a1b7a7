//! The detection objective: targets, vocabularies and detections.

use crate::common::{randomize_weights, terms};
use burn::prelude::*;
use vlp_data::{LabelSpace, Object};
use vlp_objectives::detection::{
    ClassVocabulary, DetectedObject, DetectionMetrics, DetectionTarget,
};
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{
    DetectionConfig, EncoderOutput, MetricContext, Metrics, Objective, Pairing, Predictions,
    VisionLanguage,
};
use vlp_ops::copies_to_cpu;

/// Sums of a few dozen f32 terms of size 1, in another order.
const ROUNDING: f64 = 1e-5;

/// A batch of two data sets: its means are those of both sums over both counts.
#[test]
fn sums_of_two_vocabularies_are_added_before_the_mean() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let second = ClassVocabulary {
        name: "other".into(),
        classes: 3,
        attributes: 0,
    };
    let config = DetectionConfig::default().with_num_queries(8);
    let device = rig.device.clone();
    let detection = config
        .init(D_MODEL, vec![rig.vocabulary(), second], &device)
        .unwrap();
    let (model, detection) = randomize_weights((rig.model().unwrap(), detection), 3);
    let batch = rig
        .collator()
        .collate(&Some(detection.clone()), &rig.examples, &device)
        .unwrap();
    let targets = batch.targets.iter().flatten().cloned();
    let mut targets: Vec<DetectionTarget> = targets.collect();
    for (i, target) in targets.iter_mut().enumerate() {
        target.vocabulary = [Some(0), Some(1), None][i % 3];
        for object in target.objects.iter_mut().filter(|_| i % 3 == 1) {
            object.class %= 3;
            object.attributes.clear();
        }
    }
    let output = model.encode(&batch.inputs(), detection.passes()).unwrap();
    let all: Vec<&DetectionTarget> = targets.iter().collect();
    let copies = copies_to_cpu();
    let losses = detection.loss(&output, &all).unwrap();
    assert_eq!(copies_to_cpu() - copies, 1, "for both vocabularies");
    let together = terms(&losses);

    let mut sums = vec![(0.0, 0.0); together.len()];
    for vocabulary in [0, 1] {
        let rows: Vec<usize> = (0..targets.len())
            .filter(|&i| targets[i].vocabulary == Some(vocabulary))
            .collect();
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::<1, Int>::from_ints(indices.as_slice(), &device);
        let targets: Vec<&DetectionTarget> = rows.iter().map(|&row| &targets[row]).collect();
        let output = EncoderOutput {
            feature_maps: vec![],
            grid: output.grid,
            pairing: Pairing::one_to_one(rows.len()),
            joint: None,
            image: Some(output.image().select(indices)),
            text: None,
            codes: None,
            parts: output.parts,
            caption_graphs: None,
            target_tensors: vec![],
            decoded: vec![],
        };
        let objects = targets.iter().flat_map(|target| &target.objects);
        let attributed = objects
            .clone()
            .filter(|object| !object.attributes.is_empty());
        let (objects, attributed) = (objects.count() as f64, attributed.count() as f64);
        let class = objects + 0.1 * ((8 * targets.len()) as f64 - objects);
        let means = terms(&detection.loss(&output, &targets).unwrap());
        for ((name, mean), sum) in means.into_iter().zip(&mut sums) {
            let weight = match name {
                "class" => class,
                "attribute" => attributed,
                _ => objects,
            };
            *sum = (sum.0 + weight * mean, sum.1 + weight);
        }
    }
    for ((name, mean), (sum, weight)) in together.into_iter().zip(sums) {
        let expected = sum / weight;
        let tolerance = ROUNDING * expected.abs().max(1.0);
        assert!(
            (mean - expected).abs() < tolerance,
            "{name}: {mean} {expected}"
        );
    }
}

#[test]
fn auxiliary_losses_name_their_layer() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = DetectionConfig::default();
    let detection = config
        .init(D_MODEL, vec![rig.vocabulary()], &rig.device)
        .unwrap();
    let model = rig.model().unwrap();
    let batch = rig
        .collator()
        .collate(&Some(detection.clone()), &rig.examples, &rig.device)
        .unwrap();
    let output = model.encode(&batch.inputs(), detection.passes()).unwrap();
    let targets: Vec<&DetectionTarget> = batch.targets.iter().flatten().collect();
    let losses = detection.loss(&output, &targets).unwrap();
    let layers = losses.terms.iter().map(|term| (term.name, term.layer));
    let expected = ["class", "l1", "giou", "attribute"];
    let expected = expected
        .into_iter()
        .flat_map(|name| [(name, Some(0)), (name, None)]);
    assert!(layers.eq(expected));
}

#[test]
fn targets_are_the_largest_valid_objects() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let labels = LabelSpace {
        classes: vec!["a".into(), "b".into()],
        ..LabelSpace::default()
    };
    let object = |class, bbox, crowd| Object {
        class,
        bbox,
        attributes: vec![],
        crowd,
        area: 1.0,
    };
    let mut example = rig.examples[0].clone();
    (example.width, example.height) = (40, 20);
    example.objects = Some(vec![
        object(0, [0.0, 0.0, 10.0, 10.0], false),
        object(1, [0.0, 0.0, 40.0, 20.0], true),
        object(1, [20.0, 5.0, 40.0, 15.0], false),
        object(2, [0.0, 0.0, 30.0, 10.0], false),
        object(0, [3.0, 3.0, 3.0, 9.0], false),
        object(0, [0.0, 0.0, 4.0, 4.0], false),
    ]);
    let target = DetectionTarget::new(&example, Some(0), &labels, 2);
    // Dropped: a crowd, a class outside the vocabulary, a box without width, and the smallest of three.
    assert_eq!(target.dropped, 1);
    let objects = target.objects.iter();
    let objects: Vec<_> = objects.map(|object| (object.class, object.bbox)).collect();
    assert_eq!(
        objects,
        [(1, [0.75, 0.5, 0.5, 0.5]), (0, [0.125, 0.25, 0.25, 0.5])]
    );
    example.objects = None;
    let target = DetectionTarget::new(&example, Some(0), &labels, 2);
    assert_eq!(target.vocabulary, None);
}

#[test]
fn errors_of_impossible_configurations_say_what_works() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = DetectionConfig::default().with_num_queries(0);
    let message = config
        .init(8, vec![rig.vocabulary()], &rig.device)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "detection.num_queries = 0: use at least 1 (100 in DETR)"
    );
    let message = DetectionConfig::default()
        .init(8, vec![], &rig.device)
        .unwrap_err()
        .to_string();
    let start = "detection.vocabularies = []: give at least one";
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn detections_are_sorted_and_never_of_the_no_object_class() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = DetectionConfig::default().with_num_queries(9);
    let detection = config
        .init(D_MODEL, vec![rig.vocabulary()], &rig.device)
        .unwrap();
    let (model, detection) = randomize_weights((rig.model().unwrap(), detection), 8);
    let set = Some(detection.clone());
    let detect = |examples| {
        let batch = rig.collator().collate(&set, examples, &rig.device).unwrap();
        let output = model.encode(&batch.inputs(), detection.passes()).unwrap();
        let decoder = output.parts.decoder("detection").unwrap();
        detection.detect(output.image(), decoder, 0)
    };
    let images = detect(&rig.examples);
    for objects in &images {
        assert_eq!(objects.len(), 9);
        assert!(
            objects
                .windows(2)
                .all(|pair| pair[0].score >= pair[1].score)
        );
        for object in objects {
            assert!(object.class < rig.labels.classes.len());
            assert!((0.0..=1.0).contains(&object.score));
            assert!(object.bbox.iter().all(|side| (0.0..=1.0).contains(side)));
            assert!((object.attributes.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
    // An image alone has the same detections as in a batch.
    let alone = detect(&rig.examples[2..3]);
    assert!((alone[0][0].score - images[2][0].score).abs() < 1e-5);
}

/// An image that is annotated for both of two label spaces counts in each.
#[test]
fn metrics_of_two_vocabularies_are_apart() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let mut labels = [rig.labels.clone(), rig.labels.clone()];
    labels[1].name = "other".into();
    labels[1].ids = (0..labels[1].classes.len() as u64)
        .map(|class| 100 + class)
        .collect();
    let context = MetricContext {
        label_spaces: &labels,
        ..rig.metric_context()
    };
    let example = &rig.examples[0];
    let [first, second] =
        [0, 1].map(|index| DetectionTarget::new(example, Some(index), &labels[index], 100));
    let class_count = labels[0].classes.len();
    let detect = |target: &DetectionTarget, shift: usize| -> Vec<DetectedObject> {
        let objects = target.objects.iter().enumerate();
        let objects = objects.map(|(query, object)| DetectedObject {
            query,
            class: (object.class + shift) % class_count,
            score: 0.9,
            bbox: object.bbox,
            attributes: vec![],
        });
        objects.collect()
    };
    // The first finds every object, the second calls each of them something else.
    let metrics = |targets: &[(&DetectionTarget, usize)]| {
        let mut metrics = DetectionMetrics::default();
        for (target, shift) in targets {
            let detected = detect(target, *shift);
            assert!(metrics.record_image(&detected, target));
            for (object, truth) in detected.iter().zip(&target.objects) {
                metrics.record_match(target, object, truth);
            }
        }
        metrics
    };
    let together = metrics(&[(&first, 0), (&second, 1)]);
    let mut merged = metrics(&[(&second, 1)]);
    merged.merge(metrics(&[(&first, 0)]));
    for metrics in [together, merged] {
        let scores = metrics.scores(&context).unwrap();
        let score = |name: &str| {
            scores
                .iter()
                .find(|score| score.name == name)
                .unwrap()
                .value
        };
        // A mean of ones over the categories.
        assert!((score("detection/ap").unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(score("detection/class_accuracy"), Some(1.0));
        assert_eq!(score("detection/other/class_accuracy"), Some(0.0));
        assert!(score("detection/other/ap").unwrap() < 0.5);
        let mut predictions = Predictions::default();
        metrics.predictions(&context, &mut predictions);
        for (results, ids) in predictions.detections.iter().zip([1..100, 100..200]) {
            assert_eq!(results.detections.len(), first.objects.len());
            let mut categories = results.detections.iter().map(|d| d.category_id);
            assert!(categories.all(|id| ids.contains(&id)));
        }
    }
}
