//! Matching, set losses and targets of the detection objective.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::{ATTRIBUTES, CLASSES, QUERIES, host, picture, predictions, redraw, terms};
use proptest::prelude::*;
use vlp_data::{LabelSpace, Object};
use vlp_objectives::detection::boxes::{corners, cxcywh_to_xyxy, giou, overlap};
use vlp_objectives::detection::set_loss::SetSums;
use vlp_objectives::detection::{
    ClassVocabulary, DetectionOutput, DetectionTarget, MatchCost, Matcher,
};
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{DetectionConfig, Encoded, Needs, Objective, ObjectiveError, VisionLanguage};

/// Sums of a few dozen f32 terms of size 1, in another order.
const ROUNDING: f64 = 1e-5;

fn cost() -> MatchCost {
    MatchCost {
        attribute: 1.0,
        ..MatchCost::default()
    }
}

fn losses(output: &DetectionOutput, pictures: &[DetectionTarget]) -> Vec<f64> {
    let targets: Vec<&DetectionTarget> = pictures.iter().collect();
    let pairs = Matcher::default()
        .assign(output, &targets, &cost())
        .unwrap();
    let means = SetSums::new(output, &targets, &pairs, 0.1).means();
    means.into_iter().flat_map(|(_, mean)| host(mean)).collect()
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= ROUNDING * a.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn the_order_of_objects_and_of_queries_does_not_matter() {
    let device = Device::flex();
    for seed in 0..20 {
        let pictures: Vec<DetectionTarget> = (0..3)
            .map(|i| picture([4, 7, 1][i], seed * 10 + i as u64))
            .collect();
        let targets: Vec<&DetectionTarget> = pictures.iter().collect();
        let output = predictions(3, seed, &device);
        let pairs = Matcher::default()
            .assign(&output, &targets, &cost())
            .unwrap();
        let before = losses(&output, &pictures);

        let mut turned = pictures.clone();
        turned.iter_mut().for_each(|p| p.objects.reverse());
        let found = Matcher::default()
            .assign(&output, &turned.iter().collect::<Vec<_>>(), &cost())
            .unwrap();
        for (layer, images) in pairs.iter().enumerate() {
            for (image, pairs) in images.iter().enumerate() {
                let last = pictures[image].objects.len() - 1;
                let same: Vec<(usize, usize)> = found[layer][image]
                    .iter()
                    .map(|&(q, o)| (q, last - o))
                    .collect();
                assert_eq!(*pairs, same, "seed {seed}");
            }
        }
        close(&before, &losses(&output, &turned));

        let order: Vec<i32> = (0..QUERIES as i32).rev().collect();
        let order = Tensor::<1, Int>::from_ints(order.as_slice(), &device);
        let turn = |t: &Tensor<4>| t.clone().select(2, order.clone());
        let queries = DetectionOutput {
            logits: turn(&output.logits),
            attributes: output.attributes.as_ref().map(turn),
            boxes: turn(&output.boxes),
        };
        close(&before, &losses(&queries, &pictures));
    }
}

#[test]
fn every_object_finds_its_own_query_and_the_total_is_least() {
    // Three objects, seven queries: all 210 assignments are tried.
    let device = Device::flex();
    for seed in 0..10 {
        let (output, target) = (predictions(1, seed, &device), picture(3, seed));
        let pairs = Matcher::default()
            .assign(&output, &[&target], &MatchCost::default())
            .unwrap();
        for (layer, pairs) in pairs.iter().map(|images| &images[0]).enumerate() {
            let mut objects: Vec<usize> = pairs.iter().map(|p| p.1).collect();
            objects.sort_unstable();
            assert_eq!(objects, [0, 1, 2]);
            let rows = |t: &Tensor<4>, width: usize| -> Vec<Vec<f64>> {
                let at = host(t.clone().slice(s![layer..layer + 1]));
                at.chunks(width).map(<[f64]>::to_vec).collect()
            };
            let (logits, boxes) = (rows(&output.logits, CLASSES + 1), rows(&output.boxes, 4));
            let price = |query: usize, object: usize| {
                let (row, wanted) = (&logits[query], &target.objects[object]);
                let sum: f64 = row.iter().map(|v| v.exp()).sum();
                let bbox: [f32; 4] = std::array::from_fn(|k| boxes[query][k] as f32);
                let l1: f32 = bbox
                    .iter()
                    .zip(wanted.bbox)
                    .map(|(a, b)| (a - b).abs())
                    .sum();
                let (_, giou) = overlap(corners(bbox), corners(wanted.bbox));
                5.0 * f64::from(l1) - 2.0 * f64::from(giou) - row[wanted.class].exp() / sum
            };
            let found: f64 = pairs.iter().map(|&(q, o)| price(q, o)).sum();
            let mut least = f64::INFINITY;
            for a in 0..QUERIES {
                for b in (0..QUERIES).filter(|&b| b != a) {
                    for c in (0..QUERIES).filter(|&c| c != a && c != b) {
                        least = least.min(price(a, 0) + price(b, 1) + price(c, 2));
                    }
                }
            }
            assert!((found - least).abs() < ROUNDING, "{found} {least}");
        }
    }
}

#[test]
fn nothing_to_find_is_a_finite_loss_with_a_gradient() {
    let device = Device::flex().autodiff();
    let output = predictions(2, 3, &device);
    let logits = output.logits.clone().require_grad();
    let output = DetectionOutput {
        logits: logits.clone(),
        ..output
    };
    let pictures = [picture(0, 1), picture(0, 2)];
    let targets: Vec<&DetectionTarget> = pictures.iter().collect();
    let pairs = Matcher::default()
        .assign(&output, &targets, &cost())
        .unwrap();
    let [class, l1, giou, attribute] = SetSums::new(&output, &targets, &pairs, 0.1).means();
    for (name, mean) in [l1, giou, attribute] {
        assert_eq!(host(mean), [0.0, 0.0], "{name}");
    }
    assert!(
        host(class.1.clone())
            .iter()
            .all(|v| v.is_finite() && *v > 0.0)
    );
    let grads = class.1.sum().backward();
    assert!(
        host(logits.grad(&grads).unwrap())
            .iter()
            .all(|g| g.is_finite())
    );
}

#[test]
fn attributes_count_only_where_they_are_annotated() {
    let device = Device::flex();
    let output = predictions(1, 4, &device);
    let mut target = picture(3, 4);
    target.objects.iter_mut().for_each(|o| o.attributes.clear());
    let of = |target: &DetectionTarget| {
        let pairs = Matcher::default()
            .assign(&output, &[target], &MatchCost::default())
            .unwrap();
        let sums = SetSums::new(&output, &[target], &pairs, 0.1);
        (pairs, sums.attributed, host(sums.means()[3].1.clone()))
    };
    assert_eq!((of(&target).1, of(&target).2), (0, vec![0.0, 0.0]));
    // One object with two attributes: the mean of both cross entropies, by no other object.
    target.objects[1].attributes = vec![0, 2];
    let (pairs, attributed, means) = of(&target);
    assert_eq!(attributed, 1);
    for layer in 0..2 {
        let query = pairs[layer][0].iter().find(|p| p.1 == 1).unwrap().0;
        let row = host(
            output
                .attributes
                .clone()
                .unwrap()
                .slice(s![layer, 0, query]),
        );
        let sum: f64 = row.iter().map(|v| v.exp()).sum();
        let want = sum.ln() - (row[0] + row[2]) / 2.0;
        assert!((means[layer] - want).abs() < ROUNDING, "{means:?} {want}");
        assert_eq!(row.len(), ATTRIBUTES);
    }
}

#[test]
fn a_prediction_that_is_not_finite_names_its_picture() {
    let device = Device::flex();
    for value in [f32::NAN, f32::INFINITY] {
        let mut output = predictions(3, 5, &device);
        let broken = Tensor::full([1, 1, 1, 1], value, &device);
        output.boxes = output
            .boxes
            .slice_assign(s![1..2, 2..3, 4..5, 0..1], broken);
        let pictures: Vec<DetectionTarget> = (0..3).map(|i| picture(2, i)).collect();
        let targets: Vec<&DetectionTarget> = pictures.iter().collect();
        let error = Matcher::default()
            .assign(&output, &targets, &cost())
            .unwrap_err();
        assert!(
            matches!(error, ObjectiveError::NonFinite { image: 2, .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with("detection: image 2 of the batch"),
            "{error}"
        );
    }
}

/// A batch of two data sets: its means are those of both sums over both counts.
#[test]
fn vocabularies_in_one_batch_add_up() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let second = ClassVocabulary {
        name: "other".into(),
        classes: 3,
        attributes: 0,
    };
    let config = DetectionConfig {
        num_queries: 8,
        ..DetectionConfig::default()
    };
    let device = rig.device.clone();
    let detection = config
        .init(D_MODEL, vec![rig.vocabulary(), second], &device)
        .unwrap();
    let (model, detection) = redraw((rig.model().unwrap(), detection), 3);
    let batch = rig
        .batcher()
        .batch(&Some(detection.clone()), &rig.examples, &device)
        .unwrap();
    let mut targets: Vec<DetectionTarget> =
        batch.targets.iter().map(|t| t.clone().unwrap()).collect();
    for (i, target) in targets.iter_mut().enumerate() {
        target.vocabulary = [Some(0), Some(1), None][i % 3];
        for object in target.objects.iter_mut().filter(|_| i % 3 == 1) {
            object.class %= 3;
            object.attributes.clear();
        }
    }
    let encoded = model.encode(&batch.inputs(), Needs::IMAGE).unwrap();
    let together = terms(&detection.loss(&encoded, &targets).unwrap());

    let mut sums = vec![(0.0, 0.0); together.len()];
    for vocabulary in [0, 1] {
        let rows: Vec<usize> = (0..targets.len())
            .filter(|&i| targets[i].vocabulary == Some(vocabulary))
            .collect();
        let at: Vec<i32> = rows.iter().map(|&i| i as i32).collect();
        let at = Tensor::<1, Int>::from_ints(at.as_slice(), &device);
        let own: Vec<DetectionTarget> = rows.iter().map(|&i| targets[i].clone()).collect();
        let part = Encoded {
            grid: encoded.grid,
            text_encoder: None,
            image: encoded.image.as_ref().map(|memory| memory.select(at)),
            text: None,
            joint_image: None,
            looks: None,
            maps: vec![],
            codes: None,
            words: encoded.words,
            decoder: encoded.decoder,
            caption_decoder: None,
        };
        let objects = own.iter().map(|t| t.objects.len()).sum::<usize>() as f64;
        let attributed = own
            .iter()
            .flat_map(|t| &t.objects)
            .filter(|o| !o.attributes.is_empty());
        let attributed = attributed.count() as f64;
        let class = objects + 0.1 * ((8 * own.len()) as f64 - objects);
        let means = terms(&detection.loss(&part, &own).unwrap());
        for ((name, mean), sum) in means.into_iter().zip(&mut sums) {
            let weight = match name.split('.').next().unwrap() {
                "class" => class,
                "attribute" => attributed,
                _ => objects,
            };
            *sum = (sum.0 + weight * mean, sum.1 + weight);
        }
    }
    for ((name, mean), (sum, weight)) in together.into_iter().zip(sums) {
        let want = sum / weight;
        assert!(
            (mean - want).abs() < ROUNDING * want.abs().max(1.0),
            "{name}: {mean} {want}"
        );
    }
}

#[test]
fn pictures_without_annotated_boxes_have_no_term() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = DetectionConfig::default();
    let detection = config
        .init(D_MODEL, vec![rig.vocabulary()], &rig.device)
        .unwrap();
    let model = rig.model().unwrap();
    let mut examples = rig.examples.clone();
    examples.iter_mut().for_each(|e| e.objects = None);
    let batch = rig
        .batcher()
        .batch(&Some(detection.clone()), &examples, &rig.device)
        .unwrap();
    let targets: Vec<DetectionTarget> = batch.targets.iter().map(|t| t.clone().unwrap()).collect();
    let encoded = model.encode(&batch.inputs(), Needs::IMAGE).unwrap();
    assert!(detection.loss(&encoded, &targets).unwrap().terms.is_empty());
}

#[test]
fn targets_keep_the_largest_objects_that_can_be_learned() {
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
    let target = DetectionTarget::of(&example, Some(0), &labels, 2);
    // Left out: a crowd, a class outside the vocabulary, a box without width, and the smallest of three.
    assert_eq!(target.dropped, 1);
    let found: Vec<_> = target.objects.iter().map(|o| (o.class, o.bbox)).collect();
    assert_eq!(
        found,
        [(1, [0.75, 0.5, 0.5, 0.5]), (0, [0.125, 0.25, 0.25, 0.5])]
    );
    example.objects = None;
    assert_eq!(
        DetectionTarget::of(&example, Some(0), &labels, 2).vocabulary,
        None
    );
}

#[test]
fn impossible_configurations_say_what_would_do() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let none = DetectionConfig {
        num_queries: 0,
        ..DetectionConfig::default()
    };
    let message = none
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
    assert!(
        message.starts_with("detection.vocabularies = []: give at least one"),
        "{message}"
    );
}

fn boxes() -> impl Strategy<Value = [f32; 4]> {
    (0.0..1.0f32, 0.0..1.0f32, 0.01..1.0f32, 0.01..1.0f32).prop_map(|(x, y, w, h)| [x, y, w, h])
}

proptest! {
    #[test]
    fn giou_is_symmetric_bounded_and_the_same_on_tensors(a in boxes(), b in boxes(), dx in -1.0..1.0f32, scale in 0.5..2.0f32) {
        let (iou, of) = overlap(corners(a), corners(b));
        prop_assert!((-1.0..=1.0).contains(&of) && (0.0..=1.0 + 1e-6).contains(&iou) && of <= iou + 1e-6);
        prop_assert!((of - overlap(corners(b), corners(a)).1).abs() < 1e-6);
        prop_assert!((overlap(corners(a), corners(a)).1 - 1.0).abs() < 1e-5);
        // Shifts and scales change nothing but the rounding of corners, relative to sides of 0.01.
        let moved = |[x, y, w, h]: [f32; 4]| [(x + dx) * scale, y * scale, w * scale, h * scale];
        prop_assert!((of - overlap(corners(moved(a)), corners(moved(b))).1).abs() < 2e-4);
        let device = Device::flex();
        let rows = |t: [f32; 4]| cxcywh_to_xyxy(Tensor::<2>::from_floats([t], &device));
        prop_assert!((host(giou(rows(a), rows(b)))[0] - f64::from(of)).abs() < 1e-5);
    }

    #[test]
    fn no_random_picture_breaks_matching(sizes in prop::collection::vec(0usize..12, 1..4), seed in 0u64..1000) {
        let device = Device::flex();
        let output = predictions(sizes.len(), seed, &device);
        let pictures: Vec<DetectionTarget> = sizes.iter().enumerate().map(|(i, &n)| picture(n, seed + i as u64)).collect();
        for value in losses(&output, &pictures) {
            prop_assert!(value.is_finite() && value >= 0.0);
        }
    }
}

#[test]
fn detections_are_sorted_and_leave_no_object_out_of_the_classes() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = DetectionConfig {
        num_queries: 9,
        ..DetectionConfig::default()
    };
    let detection = config
        .init(D_MODEL, vec![rig.vocabulary()], &rig.device)
        .unwrap();
    let (model, detection) = redraw((rig.model().unwrap(), detection), 8);
    let batch = rig
        .batcher()
        .batch(&Some(detection.clone()), &rig.examples, &rig.device)
        .unwrap();
    let encoded = model.encode(&batch.inputs(), detection.needs()).unwrap();
    for found in detection.detect(&encoded, 0).unwrap() {
        assert_eq!(found.len(), 9);
        assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
        for object in found {
            assert!(object.class < rig.labels.classes.len());
            assert!(
                (0.0..=1.0).contains(&object.score)
                    && object.bbox.iter().all(|v| (0.0..=1.0).contains(v))
            );
            assert!((object.attributes.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
    // No picture of another one's memory: a picture alone is detected as in the batch.
    let one = rig
        .batcher()
        .batch(&Some(detection.clone()), &rig.examples[2..3], &rig.device)
        .unwrap();
    let alone = model.encode(&one.inputs(), detection.needs()).unwrap();
    let (alone, batch) = (
        detection.detect(&alone, 0).unwrap(),
        detection.detect(&encoded, 0).unwrap(),
    );
    assert!((alone[0][0].score - batch[2][0].score).abs() < 1e-5);
}
