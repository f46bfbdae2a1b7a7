//! Matching and losses of free predictions.

use crate::common::{ATTRIBUTES, CLASSES, QUERIES, image, predictions, to_cpu};
use burn::prelude::*;
use proptest::prelude::*;
use vlp_objectives::ObjectiveError;
use vlp_objectives::detection::boxes::{corners, cxcywh_to_xyxy, giou, overlap};
use vlp_objectives::detection::matcher::Pairs;
use vlp_objectives::detection::set_loss::SetLossSums;
use vlp_objectives::detection::{DetectionOutput, DetectionTarget, MatchCost, Matcher};

/// Sums of a few dozen f32 terms of size 1, in another order.
const ROUNDING: f64 = 1e-5;

fn cost() -> MatchCost {
    MatchCost::default().with_attribute(1.0)
}

fn assign(
    output: &DetectionOutput,
    images: &[DetectionTarget],
    cost: &MatchCost,
) -> Result<Vec<Vec<Pairs>>, ObjectiveError> {
    let targets: Vec<&DetectionTarget> = images.iter().collect();
    Matcher::default().assign(output, &targets, cost)
}

fn sums(output: &DetectionOutput, images: &[DetectionTarget], pairs: &[Vec<Pairs>]) -> SetLossSums {
    let targets: Vec<&DetectionTarget> = images.iter().collect();
    SetLossSums::new(output, &targets, pairs, 0.1)
}

fn losses(output: &DetectionOutput, images: &[DetectionTarget]) -> Vec<f64> {
    let pairs = assign(output, images, &cost()).unwrap();
    let means = sums(output, images, &pairs).means();
    means
        .into_iter()
        .flat_map(|(_, mean)| to_cpu(mean))
        .collect()
}

fn assert_close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= ROUNDING * a.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn order_of_objects_and_queries_does_not_matter() {
    let device = Device::flex();
    for seed in 0..20 {
        let images: Vec<DetectionTarget> = (0..3)
            .map(|i| image([4, 7, 1][i], seed * 10 + i as u64))
            .collect();
        let output = predictions(3, seed, &device);
        let pairs = assign(&output, &images, &cost()).unwrap();
        let original_losses = losses(&output, &images);

        let mut reversed = images.clone();
        for image in &mut reversed {
            image.objects.reverse();
        }
        let reversed_pairs = assign(&output, &reversed, &cost()).unwrap();
        for (pairs, reversed_pairs) in pairs.iter().zip(&reversed_pairs) {
            for (image, (pairs, reversed_pairs)) in pairs.iter().zip(reversed_pairs).enumerate() {
                let last = images[image].objects.len() - 1;
                let reversed_pairs = reversed_pairs.iter();
                let expected: Pairs = reversed_pairs.map(|&(q, o)| (q, last - o)).collect();
                assert_eq!(*pairs, expected, "seed {seed}");
            }
        }
        assert_close(&original_losses, &losses(&output, &reversed));

        let order: Vec<i32> = (0..QUERIES as i32).rev().collect();
        let order = Tensor::<1, Int>::from_ints(order.as_slice(), &device);
        let reverse = |tensor: &Tensor<4>| tensor.clone().select(2, order.clone());
        let output = DetectionOutput {
            logits: reverse(&output.logits),
            attributes: output.attributes.as_ref().map(reverse),
            boxes: reverse(&output.boxes),
        };
        assert_close(&original_losses, &losses(&output, &images));
    }
}

#[test]
fn assignment_has_the_least_total_cost() {
    // Three objects and seven queries have 210 assignments: all are tried.
    let device = Device::flex();
    for seed in 0..10 {
        let (output, target) = (predictions(1, seed, &device), image(3, seed));
        let images = [target.clone()];
        let pairs = assign(&output, &images, &MatchCost::default()).unwrap();
        for (layer, pairs) in pairs.iter().map(|images| &images[0]).enumerate() {
            let mut objects: Vec<usize> = pairs.iter().map(|&(_, object)| object).collect();
            objects.sort_unstable();
            assert_eq!(objects, [0, 1, 2]);
            let rows = |tensor: &Tensor<4>, width: usize| -> Vec<Vec<f64>> {
                let values = to_cpu(tensor.clone().slice(s![layer..layer + 1]));
                values.chunks(width).map(<[f64]>::to_vec).collect()
            };
            let (logits, boxes) = (rows(&output.logits, CLASSES + 1), rows(&output.boxes, 4));
            let cost = |query: usize, object: usize| {
                let (logits, object) = (&logits[query], &target.objects[object]);
                let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let bbox: [f32; 4] = std::array::from_fn(|side| boxes[query][side] as f32);
                let distances = bbox.iter().zip(object.bbox).map(|(a, b)| (a - b).abs());
                let l1: f32 = distances.sum();
                let (_, giou) = overlap(corners(bbox), corners(object.bbox));
                5.0 * f64::from(l1) - 2.0 * f64::from(giou) - logits[object.class].exp() / sum
            };
            let total: f64 = pairs
                .iter()
                .map(|&(query, object)| cost(query, object))
                .sum();
            let mut least = f64::INFINITY;
            for a in 0..QUERIES {
                for b in (0..QUERIES).filter(|&b| b != a) {
                    for c in (0..QUERIES).filter(|&c| c != a && c != b) {
                        least = least.min(cost(a, 0) + cost(b, 1) + cost(c, 2));
                    }
                }
            }
            assert!((total - least).abs() < ROUNDING, "{total} {least}");
        }
    }
}

#[test]
fn images_without_objects_have_a_class_loss_alone() {
    let device = Device::flex().autodiff();
    let output = predictions(2, 3, &device);
    let logits = output.logits.clone().require_grad();
    let output = DetectionOutput {
        logits: logits.clone(),
        ..output
    };
    let images = [image(0, 1), image(0, 2)];
    let pairs = assign(&output, &images, &cost()).unwrap();
    let [class, l1, giou, attribute] = sums(&output, &images, &pairs).means();
    for (name, mean) in [l1, giou, attribute] {
        assert_eq!(to_cpu(mean), [0.0, 0.0], "{name}");
    }
    let losses = to_cpu(class.1.clone());
    assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0));
    let grads = class.1.sum().backward();
    let grad = to_cpu(logits.grad(&grads).unwrap());
    assert!(grad.iter().all(|value| value.is_finite()));
}

#[test]
fn attribute_loss_is_the_mean_over_objects_with_attributes() {
    let device = Device::flex();
    let output = predictions(1, 4, &device);
    let mut target = image(3, 4);
    for object in &mut target.objects {
        object.attributes.clear();
    }
    let attribute_loss = |target: &DetectionTarget| {
        let images = [target.clone()];
        let pairs = assign(&output, &images, &MatchCost::default()).unwrap();
        let sums = sums(&output, &images, &pairs);
        (pairs, sums.attributed, to_cpu(sums.means()[3].1.clone()))
    };
    let (_, attributed, losses) = attribute_loss(&target);
    assert_eq!((attributed, losses), (0, vec![0.0, 0.0]));
    // One object with two attributes: the mean of two cross entropies.
    target.objects[1].attributes = vec![0, 2];
    let (pairs, attributed, losses) = attribute_loss(&target);
    assert_eq!(attributed, 1);
    for layer in 0..2 {
        let (query, _) = pairs[layer][0]
            .iter()
            .find(|(_, object)| *object == 1)
            .unwrap();
        let logits = output.attributes.clone().unwrap();
        let logits = to_cpu(logits.slice(s![layer, 0, *query]));
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let expected = sum.ln() - (logits[0] + logits[2]) / 2.0;
        assert!(
            (losses[layer] - expected).abs() < ROUNDING,
            "{losses:?} {expected}"
        );
        assert_eq!(logits.len(), ATTRIBUTES);
    }
}

#[test]
fn non_finite_prediction_is_an_error_that_names_the_image() {
    let device = Device::flex();
    for value in [f32::NAN, f32::INFINITY] {
        let mut output = predictions(3, 5, &device);
        let value = Tensor::full([1, 1, 1, 1], value, &device);
        output.boxes = output.boxes.slice_assign(s![1..2, 2..3, 4..5, 0..1], value);
        let images: Vec<DetectionTarget> = (0..3).map(|i| image(2, i)).collect();
        let error = assign(&output, &images, &cost()).unwrap_err();
        let is_expected = matches!(error, ObjectiveError::NonFinite { image: 2, .. });
        assert!(is_expected, "{error}");
        let message = error.to_string();
        assert!(
            message.starts_with("detection: image 2 of the batch"),
            "{message}"
        );
    }
}

fn boxes() -> impl Strategy<Value = [f32; 4]> {
    (0.0..1.0f32, 0.0..1.0f32, 0.01..1.0f32, 0.01..1.0f32).prop_map(|(x, y, w, h)| [x, y, w, h])
}

proptest! {
    #[test]
    fn giou_is_symmetric_bounded_and_the_same_on_tensors(a in boxes(), b in boxes(), dx in -1.0..1.0f32, scale in 0.5..2.0f32) {
        let (iou, generalized) = overlap(corners(a), corners(b));
        prop_assert!((-1.0..=1.0).contains(&generalized));
        prop_assert!((0.0..=1.0 + 1e-6).contains(&iou) && generalized <= iou + 1e-6);
        prop_assert!((generalized - overlap(corners(b), corners(a)).1).abs() < 1e-6);
        prop_assert!((overlap(corners(a), corners(a)).1 - 1.0).abs() < 1e-5);
        // Shifts and scales change the rounding of corners alone, relative to sides of 0.01.
        let moved = |[x, y, w, h]: [f32; 4]| [(x + dx) * scale, y * scale, w * scale, h * scale];
        prop_assert!((generalized - overlap(corners(moved(a)), corners(moved(b))).1).abs() < 2e-4);
        let device = Device::flex();
        let row = |bbox: [f32; 4]| cxcywh_to_xyxy(Tensor::<2>::from_floats([bbox], &device));
        prop_assert!((to_cpu(giou(row(a), row(b)))[0] - f64::from(generalized)).abs() < 1e-5);
    }

    #[test]
    fn losses_of_random_images_are_finite(sizes in prop::collection::vec(0usize..12, 1..4), seed in 0u64..1000) {
        let device = Device::flex();
        let output = predictions(sizes.len(), seed, &device);
        let images = sizes.iter().enumerate().map(|(i, &count)| image(count, seed + i as u64));
        let images: Vec<DetectionTarget> = images.collect();
        for value in losses(&output, &images) {
            prop_assert!(value.is_finite() && value >= 0.0);
        }
    }
}
