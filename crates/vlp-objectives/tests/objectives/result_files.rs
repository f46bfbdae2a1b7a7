//! Metrics of a validation pass equal those of its result files against the annotations.

use std::fs;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use serde_json::{Value, json};
use vlp_data::read::{CocoFiles, coco};
use vlp_data::{Example, Examples, Limits, ResizeRule, Source};
use vlp_eval::coco_ap::{CocoSummary, GroundTruth, evaluate};
use vlp_eval::results::{
    Selection, score_captions, score_detections, write_captions, write_detections,
};
use vlp_objectives::captioning::CaptionMetrics;
use vlp_objectives::detection::{DetectedObject, DetectionMetrics, DetectionTarget};
use vlp_objectives::{MetricContext, Metrics, Predictions};
use vlp_scenes::{Scenes, ScenesConfig};
use vlp_testing::noise;
use vlp_text::WordPieceTokenizer;

const IMAGES: usize = 12;
/// Fewer than the objects of some images.
const QUERIES: usize = 3;

/// Writes COCO files with crowd regions, areas of segmentations and boxes beyond their images, and returns the path of the instances.
fn write_files(folder: &Path) -> std::path::PathBuf {
    let config = ScenesConfig::default().with_count(IMAGES);
    Scenes::new(config).unwrap().write_to(folder).unwrap();
    let path = folder.join("annotations/instances_train.json");
    let mut instances: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let objects = instances["annotations"].as_array_mut().unwrap();
    for (index, object) in objects.iter_mut().enumerate() {
        let bbox = object["bbox"].as_array_mut().unwrap();
        for (side, noise) in bbox.iter_mut().zip(noise(4, index as u64)) {
            *side = json!(side.as_f64().unwrap() + 0.4 + 0.3 * noise);
        }
        match index % 7 {
            // Reaches outside the image on the left and above, or is outside of it.
            3 => {
                for axis in [0, 1] {
                    let start = bbox[axis].as_f64().unwrap();
                    let side = bbox[axis + 2].as_f64().unwrap();
                    bbox[axis] = json!(-0.4 * side);
                    bbox[axis + 2] = json!(start + 1.4 * side);
                }
            }
            5 => bbox[0] = json!(1e4),
            _ => {}
        }
        let area = bbox[2].as_f64().unwrap() * bbox[3].as_f64().unwrap();
        object["area"] = json!(area * 0.6);
        object["iscrowd"] = json!(u8::from(index % 5 == 0));
    }
    fs::write(&path, instances.to_string()).unwrap();
    path
}

fn load(folder: &Path) -> (Vec<Example>, vlp_data::LabelSpace) {
    let files = CocoFiles::find(folder, None).unwrap();
    let source = coco(&files, &Limits::default()).unwrap();
    let labels = source.labels().clone();
    let resize = ResizeRule::Exact {
        width: 40,
        height: 72,
    };
    let examples = Examples::new(Arc::new(source), resize);
    let examples = (0..IMAGES).map(|index| examples.load(index, 0).unwrap());
    (examples.collect(), labels)
}

/// Two detections near each annotated object, some of them of another class.
fn detections(example: &Example, classes: usize) -> Vec<DetectedObject> {
    let (width, height) = (example.width as f32, example.height as f32);
    let mut detections = vec![];
    for object in example.objects.iter().flatten() {
        let [x0, y0, x1, y1] = object.bbox;
        for _ in 0..2 {
            let values = noise(6, 100 * example.key + detections.len() as u64);
            let shift = |k: usize, side: f32| 0.08 * values[k] as f32 * side;
            // Detections inside a crowd region match it, but would not match an object of its size.
            let part = if object.crowd { 0.5 } else { 1.0 };
            let (w, h) = (part * (x1 - x0) / width, part * (y1 - y0) / height);
            detections.push(DetectedObject {
                query: detections.len(),
                class: match values[4] > 0.8 {
                    true => (object.class + 1) % classes,
                    false => object.class,
                },
                score: values[5] as f32 / 2.0 + 0.5,
                bbox: [
                    (x0 + x1) / 2.0 / width + shift(0, w),
                    (y0 + y1) / 2.0 / height + shift(1, h),
                    w + shift(2, w),
                    h + shift(3, h),
                ],
                attributes: vec![],
            });
        }
    }
    detections
}

fn score(metrics: &impl Metrics, context: &MetricContext<'_>, name: &str) -> f64 {
    let scores = metrics.scores(context).unwrap();
    let score = scores.iter().find(|score| score.name == name).unwrap();
    score.value.unwrap()
}

#[test]
fn detection_metrics_equal_those_of_the_result_file() {
    let folder = tempfile::tempdir().unwrap();
    let instances = write_files(folder.path());
    let (examples, labels) = load(folder.path());
    let tokenizer = WordPieceTokenizer::scenes();
    let context = MetricContext {
        tokenizer: &tokenizer,
        label_spaces: std::slice::from_ref(&labels),
    };
    let mut metrics = DetectionMetrics::default();
    let mut dropped_metrics = DetectionMetrics::default();
    let mut dropped = 0;
    let mut ground_truth: Vec<GroundTruth> = vec![];
    for example in &examples {
        let target = DetectionTarget::new(example, Some(0), &labels, QUERIES);
        let detected = detections(example, labels.classes.len());
        assert!(metrics.record_image(&detected, &target));
        if let Some((object, truth)) = detected.first().zip(target.objects.first()) {
            // Matched to a query with the right class by the metrics that are kept, else by those that are not.
            for (metrics, class) in [
                (&mut metrics, truth.class),
                (&mut dropped_metrics, truth.class + 1),
            ] {
                metrics.record_image(&detected, &target);
                let object = DetectedObject {
                    class,
                    ..object.clone()
                };
                metrics.record_match(&target, &object, truth);
            }
        }
        // Other detections of the same image, as of a second sample with another text.
        assert!(!metrics.record_image(&detected[1..], &target));
        dropped += target.dropped;
        ground_truth.extend(target.ground_truth);
    }
    let mut merged = metrics;
    merged.merge(dropped_metrics);
    assert_eq!(score(&merged, &context, "detection/class_accuracy"), 1.0);
    assert!(dropped > 0 && ground_truth.iter().any(|object| object.crowd));

    let mut predictions = Predictions::default();
    merged.predictions(&context, &mut predictions);
    let file = folder.path().join("detections.json");
    let detections = &predictions.detections[0].detections;
    write_detections(&file, detections).unwrap();
    let scores = score_detections(&file, &instances, &Selection::All).unwrap();
    let CocoSummary { ap, ap50, .. } = scores.scores;
    assert_eq!((scores.scored, &scores.notes), (IMAGES, &vec![]));
    assert!((0.1..0.9).contains(&ap.unwrap()), "{ap:?}");
    let without_crowds: Vec<GroundTruth> = ground_truth
        .iter()
        .map(|object| GroundTruth {
            category_id: labels.id(object.category_id as usize) as u32,
            crowd: false,
            ..object.clone()
        })
        .collect();
    let clipped = |objects: &[GroundTruth]| -> Vec<GroundTruth> {
        let objects = objects.iter().map(|object| {
            let [x, y, w, h] = object.bbox;
            let (x0, y0) = (x.max(0.0), y.max(0.0));
            GroundTruth {
                category_id: labels.id(object.category_id as usize) as u32,
                bbox: [x0, y0, x + w - x0, y + h - y0],
                ..object.clone()
            }
        });
        objects.collect()
    };
    let image_ids: Vec<u64> = examples.iter().map(|example| example.key).collect();
    let of_clipped = evaluate(&image_ids, &clipped(&ground_truth), detections);
    assert!((of_clipped.unwrap().ap.unwrap() - ap.unwrap()).abs() > 0.01);
    let without_crowds = evaluate(&image_ids, &without_crowds, detections).unwrap();
    assert!((without_crowds.ap.unwrap() - ap.unwrap()).abs() > 0.01);
    // The two take the mean over the categories in another order.
    for (name, value) in [("detection/ap", ap), ("detection/ap50", ap50)] {
        let difference = score(&merged, &context, name) - value.unwrap();
        assert!(difference.abs() < 1e-12, "{name}: {difference}");
    }
    // Also the areas are those of the file.
    let mut file: Value = serde_json::from_slice(&fs::read(&instances).unwrap()).unwrap();
    let objects = file["annotations"].take();
    let mut areas: Vec<f64> = objects
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["area"].as_f64().unwrap())
        .collect();
    let mut own_areas: Vec<f64> = ground_truth.iter().map(|object| object.area).collect();
    for areas in [&mut areas, &mut own_areas] {
        areas.sort_by(f64::total_cmp);
    }
    assert_eq!(areas.len(), own_areas.len());
    assert!(areas.iter().zip(&own_areas).all(|(a, b)| a == b));
}

#[test]
fn caption_metrics_equal_those_of_the_result_file() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let (examples, labels) = load(folder.path());
    let tokenizer = WordPieceTokenizer::scenes();
    let context = MetricContext {
        tokenizer: &tokenizer,
        label_spaces: std::slice::from_ref(&labels),
    };
    let mut metrics = CaptionMetrics::default();
    for (index, example) in examples.iter().enumerate() {
        // A record for each reference, as in a data set of captions. The text of the first one is scored.
        let texts = examples[(index + 1) % IMAGES].captions.iter().cycle();
        for (reference, text) in example.captions.iter().zip(texts) {
            let (ids, references) = (tokenizer.encode(text, 64).ids, slice::from_ref(reference));
            metrics.record(example.key, &ids[1..ids.len() - 1], references);
        }
        assert!(example.captions.len() > 1);
    }
    let mut merged = metrics.clone();
    merged.merge(metrics);
    let mut predictions = Predictions::default();
    merged.predictions(&context, &mut predictions);
    assert_eq!(predictions.captions.len(), IMAGES);
    let file = folder.path().join("captions.json");
    write_captions(&file, &predictions.captions).unwrap();
    let annotations = folder.path().join("annotations/captions_train.json");
    let scores = score_captions(&file, annotations, &Selection::All)
        .unwrap()
        .scores;
    for (name, value) in [
        ("caption/bleu4", scores.bleu[3]),
        ("caption/cider_d", scores.cider_d),
    ] {
        assert!(
            (score(&merged, &context, name) - value).abs() < 1e-12,
            "{name}"
        );
    }
    assert!(scores.cider_d > 0.1);
}
