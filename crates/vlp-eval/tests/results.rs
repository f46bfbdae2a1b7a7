//! Result files: what is written is read and scored alike, and what is wrong is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_eval::coco_ap::{Detection, GroundTruth, evaluate};
use vlp_eval::nlvr2::{Nlvr2Label, nlvr2 as score_nlvr2};
use vlp_eval::results::{
    CaptionResult, ImageSize, caption, coco_ap, nlvr2, read_captions, read_detections, read_nlvr2,
    read_vqa, vqa, vqa_questions, write_captions, write_detections, write_nlvr2, write_vqa,
};
use vlp_eval::vqa::VqaResult;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    serde_json::from_str(&fs::read_to_string(path.join(name)).unwrap()).unwrap()
}

fn put(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn vqa_files_give_the_official_figures() {
    let (folder, fixture) = (tempfile::tempdir().unwrap(), fixture("vqa.json"));
    let questions = &fixture["questions"];
    let annotations = json!({"info": {"year": 2017}, "annotations": questions, "license": {}});
    let annotations = put(&folder, "annotations.json", &annotations.to_string());
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
    let found = vqa(&file, &annotations).unwrap();
    assert!((100.0 * found.overall - fixture["overall"].as_f64().unwrap()).abs() < 1e-11); // as tests/vqa.rs
    let listed = put(
        &folder,
        "questions.json",
        &json!({"questions": questions}).to_string(),
    );
    let ids = vqa_questions(&listed).unwrap();
    assert_eq!(read_vqa(&file, &ids).unwrap(), results);
}

#[test]
fn caption_files_give_the_official_figures() {
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
    // References of a picture need not stand together, and a picture that is not asked for may be there.
    annotations.swap(0, 5);
    let asked: Vec<u64> = results.iter().map(|r| r.image_id).collect();
    let file = folder.path().join("results.json");
    write_captions(&file, &results).unwrap();
    assert_eq!(read_captions(&file, &asked).unwrap(), results);
    let whole = put(
        &folder,
        "a.json",
        &json!({"annotations": annotations}).to_string(),
    );
    annotations.push(json!({"image_id": 999, "caption": "another"}));
    let more = put(
        &folder,
        "b.json",
        &json!({"annotations": annotations}).to_string(),
    );
    let one = caption(&file, &whole, None).unwrap();
    assert_eq!(one, caption(&file, &more, Some(&asked)).unwrap());
    assert!((one.cider_d - case["scores"]["cider_d"].as_f64().unwrap()).abs() < 1e-9); // as tests/captions.rs
    let error = caption(&file, &more, None).unwrap_err().to_string();
    assert!(
        error.contains("1 of 13 are not answered, the first is image 999"),
        "{error}"
    );
    let lone = put(&folder, "c.json", r#"[{"image_id": 7, "caption": "x"}]"#);
    let error = caption(&lone, &whole, Some(&[7])).unwrap();
    assert_eq!(error.rouge_l, 0.0);
}

#[test]
fn detection_files_give_what_the_slices_give() {
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
        let found: Vec<Detection> = case["found"]
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
        let sized = |id: &u64| json!({"id": id, "width": 4000, "height": 4000, "file_name": "x"});
        let sizes: Vec<Value> = images.iter().map(sized).collect();
        let annotations = json!({"annotations": truths, "images": sizes, "categories": []});
        let annotations = put(&folder, "instances.json", &annotations.to_string());
        let file = folder.path().join("results.json");
        write_detections(&file, &found).unwrap();
        let direct = evaluate(&images, &truths, &found).unwrap();
        assert_eq!(
            coco_ap(&file, &annotations).unwrap(),
            direct,
            "{}",
            case["name"]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))] // files

    #[test]
    fn detections_come_back_to_the_last_bit(score: f64, x in 0.0..300.0, y in 0.0..300.0, side in 1e-9..300.0) {
        prop_assume!(score.is_finite());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let images = [ImageSize { id: 1, width: 640, height: 480 }];
        let all = [Detection { image_id: 1, category_id: 2, bbox: [x, y, side, side], score }];
        write_detections(&file, &all).unwrap();
        prop_assert_eq!(read_detections(&file, &images).unwrap(), all);
    }
}

#[test]
fn nlvr2_files_give_the_official_figures() {
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
    let annotations = put(&folder, "dev.json", &lines);
    let file = folder.path().join("predictions.csv");
    write_nlvr2(&file, &predictions).unwrap();
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("dev-0-0-0,False\n")
    );
    let found = nlvr2(&file, &annotations).unwrap();
    assert_eq!(found, score_nlvr2(&labels, &predictions).unwrap());
    assert!((found.accuracy - fixture["accuracy"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn what_is_wrong_in_answers_is_named() {
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
            "record 0: expected value",
        ),
        (
            "[{\"question_id\": 1, \"answer\": \"a\"}, {\"question_id\": 1, \"answer\": \"b\"}]",
            "record 1: question 1 was answered before, by record 0",
        ),
        (
            "[{\"question_id\": 9, \"answer\": \"a\"}]",
            "record 0: question 9 is not among the 3",
        ),
        (
            "[{\"question_id\": 2, \"answer\": \"a\"}]",
            "2 of 3 are not answered, the first is question 1",
        ),
        ("[]", "3 of 3 are not answered"),
        ("[] []", "trailing characters"),
        ("", "EOF"),
    ];
    for (text, expected) in cases {
        let file = put(&folder, "results.json", text);
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
    let error = vqa_questions(put(&folder, "q.json", "{\"annotations\": []}")).unwrap_err();
    assert!(
        error.to_string().contains("no list \"questions\""),
        "{error}"
    );
    let twice = [1, 1].map(|image_id| CaptionResult {
        image_id,
        caption: "a".into(),
    });
    let target = folder.path().join("captions.json");
    let error = write_captions(&target, &twice).unwrap_err().to_string();
    assert!(
        error.contains("record 1: image 1 was answered before"),
        "{error}"
    );
    assert!(!target.exists() && !folder.path().join("captions.json.partial").exists());
}

#[test]
fn what_is_wrong_in_detections_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let images = [ImageSize {
        id: 5,
        width: 640,
        height: 480,
    }];
    let record = |image: u32, bbox: &str, score: &str| {
        let good = r#"{"image_id": 5, "category_id": 1, "bbox": [-3, 470.5, 9, 20], "score": 1}"#;
        format!(
            "[{good}, {{\"image_id\": {image}, \"category_id\": 2, \"bbox\": {bbox}, \"score\": {score}}}]"
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
        (record(5, "[1, 2, 0, 4]", "1"), "has no area"),
        (record(5, "[1, 2, 3, -4]", "1"), "has no area"),
        (
            record(5, "[640, 2, 3, 4]", "1"),
            "lies outside the 640 x 480 picture",
        ),
        (record(5, "[-9, 2, 9, 4]", "1"), "lies outside"),
        (record(5, "[1, 2, 3]", "1"), "record 1: invalid length 3"),
        (
            record(6, "[1, 2, 3, 4]", "1"),
            "record 1: image 6 is not among the 1",
        ),
    ];
    for (text, expected) in cases {
        let file = put(&folder, "results.json", &text);
        let error = read_detections(&file, &images).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let good = Detection {
        image_id: 5,
        category_id: 1,
        bbox: [1.0, 2.0, 3.0, 4.0],
        score: 0.5,
    };
    let file = folder.path().join("written.json");
    write_detections(&file, []).unwrap();
    assert_eq!(read_detections(&file, &images).unwrap(), []);
    for bad in [
        Detection {
            score: f64::INFINITY,
            ..good.clone()
        },
        Detection {
            bbox: [f64::NAN, 2.0, 3.0, 4.0],
            ..good.clone()
        },
        Detection {
            bbox: [1.0, 2.0, 3.0, 0.0],
            ..good.clone()
        },
    ] {
        let error = write_detections(&file, [&good, &bad])
            .unwrap_err()
            .to_string();
        assert!(error.contains("record 1 (image 5)"), "{error}");
        // The file of before stays as it was.
        assert_eq!(read_detections(&file, &images).unwrap(), []);
    }
}

#[test]
fn what_is_wrong_in_predictions_is_named() {
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
            "record 1: identifier dev-1-0-0 was answered before",
        ),
        (
            "dev-1-0-0.png,True\n",
            "record 0: identifier dev-1-0-0.png is not among the 2",
        ),
        (
            "dev-1-0-1,FALSE\n",
            "1 of 2 are not answered, the first is identifier dev-1-0-0",
        ),
    ];
    for (text, expected) in cases {
        let file = put(&folder, "predictions.csv", text);
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
