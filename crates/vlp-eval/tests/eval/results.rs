//! Result files: round trips, metrics from files, errors.

use std::fs;
use std::path::Path;

use crate::common::write;
use proptest::prelude::*;
use serde_json::{Value, json};
use vlp_eval::coco_ap::{Detection, GroundTruth, evaluate};
use vlp_eval::nlvr2::{Nlvr2Label, nlvr2};
use vlp_eval::results::{
    CaptionResult, ImageSize, Selection, read_captions, read_detections, read_nlvr2, read_vqa,
    read_vqa_question_ids, score_captions, score_detections, score_nlvr2, score_vqa,
    write_captions, write_detections, write_nlvr2, write_vqa,
};
use vlp_eval::vqa::VqaResult;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    serde_json::from_str(&fs::read_to_string(path.join(name)).unwrap()).unwrap()
}

#[test]
fn vqa_files_give_the_official_accuracy() {
    let (folder, fixture) = (tempfile::tempdir().unwrap(), fixture("vqa.json"));
    let questions = &fixture["questions"];
    let annotations = json!({"info": {"year": 2017}, "annotations": questions, "license": {}});
    let annotations = write(&folder, "annotations.json", annotations.to_string());
    let results: Vec<VqaResult> = questions
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|q| VqaResult {
            question_id: q["question_id"].as_u64().unwrap(),
            answer: q["result"].as_str().unwrap().to_owned(),
        })
        .collect();
    let file = folder.path().join("results.json");
    write_vqa(&file, &results).unwrap();
    let accuracy = score_vqa(&file, &annotations, &Selection::All)
        .unwrap()
        .scores;
    assert!((100.0 * accuracy.overall - fixture["overall"].as_f64().unwrap()).abs() < 1e-11); // as tests/vqa.rs
    let question_file = write(
        &folder,
        "questions.json",
        json!({"questions": questions}).to_string(),
    );
    let ids = read_vqa_question_ids(&question_file).unwrap();
    assert_eq!(read_vqa(&file, &ids).unwrap(), results);
}

#[test]
fn caption_files_give_the_official_scores() {
    let folder = tempfile::tempdir().unwrap();
    let case = &fixture("caption_scores.json")[1];
    let (mut annotations, mut results) = (vec![], vec![]);
    for (image, pair) in case["pairs"].as_array().unwrap().iter().enumerate() {
        for text in pair["references"].as_array().unwrap() {
            annotations.push(json!({"id": annotations.len(), "image_id": image, "caption": text}));
        }
        results.push(CaptionResult {
            image_id: image as u64,
            caption: pair["hypothesis"].as_str().unwrap().to_owned(),
        });
    }
    // The references of an image need not be adjacent, and there may be other images.
    annotations.swap(0, 5);
    let image_ids: Vec<u64> = results.iter().map(|r| r.image_id).collect();
    let file = folder.path().join("results.json");
    write_captions(&file, &results).unwrap();
    assert_eq!(read_captions(&file, &image_ids).unwrap(), results);
    let annotation_file = write(
        &folder,
        "a.json",
        json!({"annotations": annotations}).to_string(),
    );
    annotations.push(json!({"image_id": 999, "caption": "another"}));
    let larger_file = write(
        &folder,
        "b.json",
        json!({"annotations": annotations}).to_string(),
    );
    let scores = score_captions(&file, &annotation_file, &Selection::All).unwrap();
    for selection in [Selection::Ids(&image_ids), Selection::InResults] {
        let of_larger_file = score_captions(&file, &larger_file, &selection).unwrap();
        assert_eq!(of_larger_file.scores, scores.scores);
        assert_eq!((of_larger_file.scored, of_larger_file.annotated), (12, 13));
    }
    assert!((scores.scores.cider_d - case["scores"]["cider_d"].as_f64().unwrap()).abs() < 1e-9); // as tests/captions.rs
    let error = score_captions(&file, &larger_file, &Selection::All)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("1 of 13 ids have no record, the first is image 999"),
        "{error}"
    );
    let single = write(&folder, "c.json", r#"[{"image_id": 7, "caption": "x"}]"#);
    let scores = score_captions(&single, &annotation_file, &Selection::Ids(&[7])).unwrap();
    assert_eq!(scores.scores.rouge_l, 0.0);
}

#[test]
fn detection_files_give_the_metrics_of_slices() {
    let folder = tempfile::tempdir().unwrap();
    for case in fixture("coco_ap.json").as_array().unwrap() {
        let images: Vec<u64> = serde_json::from_value(case["images"].clone()).unwrap();
        let number = |row: &Value, k: usize| row[k].as_f64().unwrap();
        let truths: Vec<GroundTruth> = case["truths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| GroundTruth {
                image_id: number(t, 0) as u64,
                category_id: number(t, 1) as u32,
                bbox: [2, 3, 4, 5].map(|k| number(t, k)),
                area: number(t, 6),
                crowd: number(t, 7) == 1.0,
            })
            .collect();
        let detections: Vec<Detection> = case["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| Detection {
                image_id: number(d, 0) as u64,
                category_id: number(d, 1) as u32,
                bbox: [2, 3, 4, 5].map(|k| number(d, k)),
                score: number(d, 6),
            })
            .filter(|d| d.bbox[2] > 0.0 && d.bbox[3] > 0.0)
            .collect();
        let image = |id: &u64| json!({"id": id, "width": 4000, "height": 4000, "file_name": "x"});
        let image_records: Vec<Value> = images.iter().map(image).collect();
        let mut category_ids: Vec<u32> = truths.iter().map(|t| t.category_id).collect();
        category_ids.extend(detections.iter().map(|d| d.category_id));
        let categories: Vec<Value> = category_ids.iter().map(|id| json!({"id": id})).collect();
        let annotations =
            json!({"annotations": truths, "images": image_records, "categories": categories});
        let annotations = write(&folder, "instances.json", annotations.to_string());
        let file = folder.path().join("results.json");
        write_detections(&file, &detections).unwrap();
        let expected = evaluate(&images, &truths, &detections).unwrap();
        let scores = score_detections(&file, &annotations, &Selection::All).unwrap();
        assert_eq!(scores.scores, expected, "{}", case["name"]);
        assert_eq!(scores.notes, [""; 0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))] // files

    #[test]
    fn detections_are_read_with_equal_bits(score: f64, x in 0.0..300.0, y in 0.0..300.0, side in 1e-9..300.0) {
        prop_assume!(score.is_finite());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let images = [ImageSize { id: 1, width: 640, height: 480 }];
        let detections = [Detection { image_id: 1, category_id: 2, bbox: [x, y, side, side], score }];
        write_detections(&file, &detections).unwrap();
        prop_assert_eq!(read_detections(&file, &images).unwrap(), detections);
    }
}

#[test]
fn nlvr2_files_give_the_official_accuracy() {
    let (folder, fixture) = (tempfile::tempdir().unwrap(), fixture("nlvr2.json"));
    let (mut labels, mut predictions, mut lines) = (vec![], vec![], String::new());
    for record in fixture["records"].as_array().unwrap() {
        let label = |k: usize| Nlvr2Label {
            identifier: record[0].as_str().unwrap().to_owned(),
            label: record[k].as_bool().unwrap(),
        };
        let word = if label(1).label { "True" } else { "False" };
        lines += &format!(
            "{}\n",
            json!({"identifier": record[0], "label": word, "sentence": "s"})
        );
        labels.push(label(1));
        predictions.push(label(2));
    }
    let annotations = write(&folder, "dev.json", &lines);
    let file = folder.path().join("predictions.csv");
    write_nlvr2(&file, &predictions).unwrap();
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("dev-0-0-0,False\n")
    );
    let scores = score_nlvr2(&file, &annotations, &Selection::All)
        .unwrap()
        .scores;
    assert_eq!(scores, nlvr2(&labels, &predictions).unwrap());
    assert!((scores.accuracy - fixture["accuracy"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn errors_name_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("[{\"question_id\": 1, \"answer\": \"a\"}", "record 1: EOF"),
        (
            "{\"question_id\": 1}",
            "record 0: invalid type: map, expected a list of records",
        ),
        (
            "[{\"question_id\": \"1\", \"answer\": \"a\"}]",
            "expected u64",
        ),
        (
            "[{\"question_id\": 1, \"answer\": \"a\"}, {\"question_id\": 2}]",
            "record 1: missing field `answer`",
        ),
        (
            "[{\"question_id\": 1, \"answer\": NaN}]",
            "record 0: invalid type: null",
        ),
        (
            "[{\"question_id\": 1, \"answer\": \"a\"}, {\"question_id\": 1, \"answer\": \"b\"}]",
            "record 1: question 1 is also the id of record 0",
        ),
        (
            "[{\"question_id\": 9, \"answer\": \"a\"}]",
            "record 0: question 9 is not among the 3",
        ),
        (
            "[{\"question_id\": 2, \"answer\": \"a\"}]",
            "2 of 3 ids have no record, the first is question 1",
        ),
        ("[]", "3 of 3 ids have no record"),
        ("[] []", "trailing characters"),
        ("", "EOF"),
    ];
    for (text, expected) in cases {
        let file = write(&folder, "results.json", text);
        let error = read_vqa(&file, &[1, 2, 3]).unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("results.json: "),
            "{text}: {error}"
        );
    }
    let error = read_vqa(folder.path().join("none.json"), &[1]).unwrap_err();
    assert!(
        error.to_string().contains("none.json: No such file"),
        "{error}"
    );
    let error =
        read_vqa_question_ids(write(&folder, "q.json", "{\"annotations\": []}")).unwrap_err();
    assert!(
        error.to_string().contains("no list \"questions\""),
        "{error}"
    );
    let duplicates = [1, 1].map(|image_id| CaptionResult {
        image_id,
        caption: "a".into(),
    });
    let target = folder.path().join("captions.json");
    let error = write_captions(&target, &duplicates)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("record 1: image 1 is also the id of record 0"),
        "{error}"
    );
    assert!(!target.exists() && !folder.path().join("captions.json.partial").exists());
}

#[test]
fn errors_name_the_detection() {
    let folder = tempfile::tempdir().unwrap();
    let images = [ImageSize {
        id: 5,
        width: 640,
        height: 480,
    }];
    let record = |image: u32, bbox: &str, score: &str| {
        let valid = r#"{"image_id": 5, "category_id": 1, "bbox": [-3, 470.5, 9, 20], "score": 1}"#;
        format!(
            "[{valid}, {{\"image_id\": {image}, \"category_id\": 2, \"bbox\": {bbox}, \"score\": {score}}}]"
        )
    };
    let cases = [
        (
            record(5, "[1, 2, 3, 4]", "NaN"),
            "record 1 (image 5): score is NaN",
        ),
        (
            record(5, "[1, 2, 3, 4]", "-Infinity"),
            "record 1 (image 5): score is -inf",
        ),
        (
            record(5, "[1, 2, 3, 4]", "1e999"),
            "record 1 (image 5): score is inf",
        ),
        (
            record(5, "[1, 2, 3, 4]", "\"high\""),
            "record 1: invalid type: string \"high\"",
        ),
        (
            record(5, "[1, 2, 3, 4]", "\"0.5\""),
            "invalid type: string \"0.5\", expected a number",
        ),
        (
            record(5, "[1, 2, 3, 4]", "1.2.3"),
            "record 1: invalid type: number \"1.2.3\", expected a number",
        ),
        (
            record(5, "[1, NaN, 3, 4]", "1"),
            "box [1.0, NaN, 3.0, 4.0] is not finite",
        ),
        (
            record(5, "[1, 2, 3, -4]", "1"),
            "box [1.0, 2.0, 3.0, -4.0] has a side below 0; expected [x, y, width, height]",
        ),
        (record(5, "[1, 2, -1e-9, 4]", "1"), "has a side below 0"),
        (record(5, "[1, 2, 3]", "1"), "record 1: invalid length 3"),
        (
            record(6, "[1, 2, 3, 4]", "1"),
            "record 1: image 6 is not among the 1",
        ),
    ];
    for (text, expected) in cases {
        let file = write(&folder, "results.json", &text);
        let error = read_detections(&file, &images).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let valid = Detection {
        image_id: 5,
        category_id: 1,
        bbox: [1.0, 2.0, 3.0, 4.0],
        score: 0.5,
    };
    let file = folder.path().join("written.json");
    write_detections(&file, []).unwrap();
    assert_eq!(read_detections(&file, &images).unwrap(), []);
    for invalid in [
        Detection {
            score: f64::INFINITY,
            ..valid.clone()
        },
        Detection {
            bbox: [f64::NAN, 2.0, 3.0, 4.0],
            ..valid.clone()
        },
        Detection {
            bbox: [1.0, 2.0, 3.0, -0.5],
            ..valid.clone()
        },
    ] {
        let error = write_detections(&file, [&valid, &invalid])
            .unwrap_err()
            .to_string();
        assert!(error.contains("record 1 (image 5)"), "{error}");
        // The existing file is unchanged.
        assert_eq!(read_detections(&file, &images).unwrap(), []);
    }
}

/// pycocotools scores a box without area, or outside of its image, as any other detection.
#[test]
fn boxes_without_area_or_outside_are_written_and_scored() {
    let folder = tempfile::tempdir().unwrap();
    let instances = write(
        &folder,
        "instances.json",
        r#"{"images": [{"id": 5, "width": 640, "height": 480}, {"id": 6}], "categories": [{"id": 1}],
            "annotations": [{"image_id": 5, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0}]}"#,
    );
    let detection = |image_id, bbox, score| Detection {
        image_id,
        category_id: 1,
        bbox,
        score,
    };
    let right = detection(5, [10.0, 20.0, 30.0, 40.0], 0.5);
    let elsewhere = [
        detection(5, [1.0, 2.0, 0.0, 4.0], 0.9),
        detection(5, [1.0, 2.0, 3.0, 0.0], 0.9),
        detection(5, [640.0, 2.0, 3.0, 4.0], 0.9),
        detection(5, [-9.0, 2.0, 9.0, 4.0], 0.9),
        detection(6, [1e6, 2.0, 0.0, 0.0], 0.9),
    ];
    let images = [5, 6].map(|id| ImageSize {
        id,
        width: 640,
        height: 480,
    });
    let score = |detections: &[Detection]| {
        let file = folder.path().join("detections.json");
        write_detections(&file, detections).unwrap();
        assert_eq!(read_detections(&file, &images).unwrap(), detections);
        score_detections(&file, &instances, &Selection::All).unwrap()
    };
    let without = score(std::slice::from_ref(&right));
    assert_eq!(without.notes, [""; 0]);
    // A mean over 101 recalls and 10 thresholds; the precisions are exact.
    let ap = without.scores.ap.unwrap();
    assert!((ap - 1.0).abs() < 1e-9, "{ap}");
    let mut all = elsewhere.to_vec();
    // Of a category that is not scored, and beyond an image of unknown size.
    all.push(Detection {
        category_id: 7,
        ..elsewhere[0].clone()
    });
    all.push(detection(6, [1e6, 2.0, 3.0, 4.0], 0.9));
    all.push(right);
    let scores = score(&all);
    // Six false positives with higher scores.
    let ap = scores.scores.ap.unwrap();
    assert!((ap - 1.0 / 7.0).abs() < 1e-9, "{ap}");
    let notes = scores.notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[1].ends_with(
            "detections.json: boxes without area or outside of their image: 5; they are scored, as in the official tool"
        ),
        "{notes:?}"
    );
}

#[test]
fn errors_name_the_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["dev-1-0-0", "dev-1-0-1"].map(str::to_owned);
    let cases = [
        (
            "dev-1-0-0,True\ndev-1-0-1,Yes\n",
            "line 2: \"dev-1-0-1,Yes\"; expected identifier,True",
        ),
        ("identifier,prediction\n", "line 1"),
        ("dev-1-0-0\n", "line 1"),
        (
            "dev-1-0-0,True\n\ndev-1-0-0,true\n",
            "record 1: identifier dev-1-0-0 is also the id of record 0",
        ),
        (
            "dev-1-0-0.png,True\n",
            "record 0: identifier dev-1-0-0.png is not among the 2",
        ),
        (
            "dev-1-0-1,FALSE\n",
            "1 of 2 ids have no record, the first is identifier dev-1-0-0",
        ),
    ];
    for (text, expected) in cases {
        let file = write(&folder, "predictions.csv", text);
        let error = read_nlvr2(&file, &ids).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let comma = Nlvr2Label {
        identifier: "a,b".into(),
        label: true,
    };
    let error = write_nlvr2(folder.path().join("p.csv"), [&comma]).unwrap_err();
    assert!(error.to_string().contains("line 1: \"a,b\""), "{error}");
}

#[test]
fn writing_leaves_files_of_other_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let other = write(&folder, "captions.json.partial", "mine");
    let caption = CaptionResult {
        image_id: 1,
        caption: "a".into(),
    };
    let file = folder.path().join("captions.json");
    write_captions(&file, [&caption]).unwrap();
    write_captions(&file, [&caption, &caption]).unwrap_err();
    assert_eq!(fs::read_to_string(other).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
