//! COCO AP against the official tool (`scripts/metrics/coco_ap_fixture.py`), and its invariants.

use proptest::prelude::*;
use serde::Deserialize;
use vlp_eval::EvalError;
use vlp_eval::coco_ap::{Detection, DetectionCollection, GroundTruth, evaluate};

/// Image, category, x, y, width, height, area, crowd.
type Truth = (u64, u32, f64, f64, f64, f64, f64, u8);
/// Image, category, x, y, width, height, score.
type ScoredBox = (u64, u32, f64, f64, f64, f64, f64);

#[derive(Deserialize)]
struct Case {
    name: String,
    images: Vec<u64>,
    truths: Vec<Truth>,
    detections: Vec<ScoredBox>,
    stats: [f64; 12],
    categories: Vec<(u32, f64, f64, f64)>,
}

impl Case {
    fn truths(&self) -> Vec<GroundTruth> {
        let record = |&(image_id, category_id, x, y, w, h, area, crowd): &Truth| GroundTruth {
            image_id,
            category_id,
            bbox: [x, y, w, h],
            area,
            crowd: crowd == 1,
        };
        self.truths.iter().map(record).collect()
    }

    fn detections(&self) -> Vec<Detection> {
        let record = |&(image_id, category_id, x, y, w, h, score): &ScoredBox| Detection {
            image_id,
            category_id,
            bbox: [x, y, w, h],
            score,
        };
        self.detections.iter().map(record).collect()
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../fixtures/coco_ap.json")).unwrap()
}

/// The official tool sums in a different order.
const TOLERANCE: f64 = 1e-12;

#[test]
fn equals_the_official_tool() {
    for case in cases() {
        let summary = evaluate(&case.images, &case.truths(), &case.detections()).unwrap();
        for (k, (ours, theirs)) in summary.stats().iter().zip(case.stats).enumerate() {
            assert!(
                (ours.unwrap_or(-1.0) - theirs).abs() < TOLERANCE,
                "{}: {k}: {ours:?} {theirs}",
                case.name
            );
        }
        assert_eq!(
            summary.categories.len(),
            case.categories.len(),
            "{}",
            case.name
        );
        for (ours, &(id, ap, ap50, ap75)) in summary.categories.iter().zip(&case.categories) {
            assert_eq!(ours.category_id, id);
            for (ours, theirs) in [(ours.ap, ap), (ours.ap50, ap50), (ours.ap75, ap75)] {
                let ours = ours.unwrap_or(-1.0);
                assert!(
                    (ours - theirs).abs() < TOLERANCE,
                    "{}: {id}: {ours} {theirs}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn errors_name_the_record() {
    let truth = GroundTruth {
        image_id: 1,
        category_id: 0,
        bbox: [0.0, 0.0, 2.0, 2.0],
        area: 4.0,
        crowd: false,
    };
    let detection = Detection {
        image_id: 1,
        category_id: 0,
        bbox: truth.bbox,
        score: 0.5,
    };
    let valid = [detection.clone()];
    let error = |bbox, score, image_id| {
        let invalid = Detection {
            bbox,
            score,
            image_id,
            ..detection.clone()
        };
        evaluate(
            &[1],
            std::slice::from_ref(&truth),
            &[detection.clone(), invalid],
        )
        .unwrap_err()
    };
    let narrow = error([0.0, 0.0, -1.0, 2.0], 0.5, 1);
    assert!(matches!(
        narrow,
        EvalError::BadBox {
            list: "detection",
            index: 1,
            image_id: 1,
            ..
        }
    ));
    assert!(
        narrow
            .to_string()
            .starts_with("detection[1] (image 1): box [0.0, 0.0, -1.0, 2.0]")
    );
    assert!(matches!(
        error([f64::NAN; 4], 0.5, 1),
        EvalError::BadBox { .. }
    ));
    assert!(matches!(
        error(truth.bbox, f64::NAN, 1),
        EvalError::BadScore { index: 1, .. }
    ));
    let unknown_image = error(truth.bbox, 0.5, 7);
    assert!(matches!(
        unknown_image,
        EvalError::UnknownImage {
            index: 1,
            image_id: 7,
            ..
        }
    ));
    let invalid = GroundTruth {
        area: -4.0,
        ..truth.clone()
    };
    assert!(matches!(
        evaluate(&[1], &[invalid], &valid),
        Err(EvalError::BadArea { index: 0, .. })
    ));
    let invalid = GroundTruth {
        bbox: [f64::INFINITY, 0.0, 1.0, 1.0],
        ..truth
    };
    assert!(matches!(
        evaluate(&[1], &[invalid], &valid),
        Err(EvalError::BadBox {
            list: "ground truth",
            ..
        })
    ));
}

#[test]
fn records_are_read_from_coco_json() {
    let text = r#"{"id":5,"image_id":3,"category_id":7,"bbox":[1,2,3,4],"area":11.5,"iscrowd":1,
                   "segmentation":[]}"#;
    let truth: GroundTruth = serde_json::from_str(text).unwrap();
    assert!(truth.crowd && truth.area == 11.5 && truth.bbox == [1.0, 2.0, 3.0, 4.0]);
    let json = serde_json::to_string(&truth).unwrap();
    assert!(json.contains("\"iscrowd\":1"), "{json}");
    for (flag, crowd) in [
        ("true", true),
        ("1.0", true),
        ("false", false),
        ("0", false),
        ("0.0", false),
        ("null", false),
    ] {
        let text = text.replace("\"iscrowd\":1", &format!("\"iscrowd\":{flag}"));
        let truth: GroundTruth = serde_json::from_str(&text).unwrap();
        assert_eq!(truth.crowd, crowd, "{flag}");
    }
    for area in ["", "\"area\":null,"] {
        let text = text.replace("\"area\":11.5,", area);
        let text = text.replace(",\"iscrowd\":1", "");
        let truth: GroundTruth = serde_json::from_str(&text).unwrap();
        assert!(!truth.crowd && truth.area == 12.0, "{text}");
    }
    for flag in ["3", "0.5", "-1", "\"1\""] {
        let text = text.replace("\"iscrowd\":1", &format!("\"iscrowd\":{flag}"));
        let error = serde_json::from_str::<GroundTruth>(&text).unwrap_err();
        assert!(error.to_string().contains("expected 0 or 1"), "{error}");
    }
}

#[test]
fn image_that_is_added_twice_counts_once() {
    for case in cases() {
        let (truths, detections) = (case.truths(), case.detections());
        let of_image = |image: u64| {
            let truths = truths.iter().filter(|t| t.image_id == image).cloned();
            let detections = detections.iter().filter(|d| d.image_id == image).cloned();
            (truths.collect::<Vec<_>>(), detections.collect::<Vec<_>>())
        };
        let mut parts = [
            DetectionCollection::default(),
            DetectionCollection::default(),
        ];
        for (index, &image) in case.images.iter().enumerate() {
            // Every second image is in both parts, and all are added twice.
            for part in &mut parts[index % 2..] {
                let (truths, detections) = of_image(image);
                assert!(part.add_image(image, truths.clone(), detections.clone()));
                assert!(!part.add_image(image, truths, detections));
            }
        }
        let [mut collection, other] = parts;
        collection.merge(other);
        assert_eq!(collection.len(), case.images.len());
        let expected = evaluate(&case.images, &truths, &detections).unwrap();
        assert_eq!(collection.evaluate().unwrap(), expected, "{}", case.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Detections equal to the objects have AP 1, regardless of false positives with lower scores.
    #[test]
    fn perfect_detections_score_one(
        boxes in prop::collection::vec((0_u64..5, 0_u32..3, 0_u32..50, 1_u32..150), 1..30),
    ) {
        let mut truths: Vec<GroundTruth> = Vec::new();
        for (k, (image_id, category_id, x, side)) in boxes.into_iter().enumerate() {
            // Each object has its own row, so that none overlap.
            let bbox = [f64::from(x), 200.0 * k as f64, f64::from(side), f64::from(side)];
            truths.push(GroundTruth { image_id, category_id, bbox, area: bbox[2] * bbox[3], crowd: false });
        }
        let detection = |g: &GroundTruth, score, shift| Detection {
            image_id: g.image_id,
            category_id: g.category_id,
            bbox: [g.bbox[0] + shift, g.bbox[1], g.bbox[2], g.bbox[3]],
            score,
        };
        let mut detections: Vec<Detection> = truths.iter().map(|g| detection(g, 0.9, 0.0)).collect();
        detections.extend(truths.iter().map(|g| detection(g, 0.1, 1000.0)));
        let summary = evaluate(&[0, 1, 2, 3, 4], &truths, &detections).unwrap();
        for ap in [summary.ap, summary.ap_small, summary.ap_medium, summary.ap_large].into_iter().flatten() {
            prop_assert!((ap - 1.0).abs() < 1e-12);
        }
        prop_assert_eq!(summary.ar100, Some(1.0));
    }

    /// Monotonic transforms of the scores do not change the metrics.
    #[test]
    fn only_the_order_of_scores_matters(case in 0_usize..9, scale in 0.01_f64..50.0, shift in -5.0_f64..5.0) {
        let case = &cases()[case];
        let (truths, detections) = (case.truths(), case.detections());
        let transformed: Vec<Detection> =
            detections.iter().map(|d| Detection { score: d.score * scale + shift, ..d.clone() }).collect();
        let summary = evaluate(&case.images, &truths, &detections).unwrap();
        prop_assert_eq!(summary, evaluate(&case.images, &truths, &transformed).unwrap());
    }
}
