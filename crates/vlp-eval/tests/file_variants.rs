//! Result files and annotations as other tools write them. The expected AP is that of `pycocotools` 2.0.11.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_eval::caption::caption_scores;
use vlp_eval::coco_ap::CocoSummary;
use vlp_eval::results::{
    FileError, Selection, read_annotated_captions, read_vqa_question_ids, score_captions,
    score_detections, score_nlvr2, score_vqa,
};

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn assert_stats(summary: &CocoSummary, expected: [f64; 12]) {
    for (k, (value, expected)) in summary.stats().iter().zip(expected).enumerate() {
        let value = value.unwrap_or(-1.0);
        assert!((value - expected).abs() < 1e-6, "{k}: {value} {expected}");
    }
}

fn error_text<T: Debug>(result: Result<T, FileError>) -> String {
    result.unwrap_err().to_string()
}

/// An annotation of a box, whose area is that of the box.
fn object(image: u64, category: u32, bbox: [f64; 4]) -> Value {
    json!({"image_id": image, "category_id": category, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})
}

fn detection(image: u64, category: u32, bbox: [f64; 4], score: f64) -> Value {
    json!({"image_id": image, "category_id": category, "bbox": bbox, "score": score})
}

/// Three images and the categories 4 and 9; objects of category 12 and of image 77, which are not listed.
fn instances() -> Value {
    let image = |id: u64| json!({"id": id, "width": 300, "height": 200, "file_name": "x.png"});
    json!({
        "images": [image(3), image(5), image(8)],
        "categories": [{"id": 4, "name": "a"}, {"id": 9, "name": "b"}],
        "annotations": [
            object(3, 4, [10.0, 10.0, 40.0, 40.0]),
            object(3, 9, [100.0, 20.0, 60.0, 50.0]),
            object(5, 4, [0.0, 0.0, 120.0, 110.0]),
            object(5, 12, [150.0, 50.0, 40.0, 40.0]),
            object(8, 9, [20.0, 30.0, 30.0, 30.0]),
            object(77, 4, [5.0, 5.0, 50.0, 50.0]),
        ],
    })
}

fn detections() -> Vec<Value> {
    vec![
        detection(3, 4, [12.0, 11.0, 40.0, 40.0], 0.9),
        detection(3, 9, [100.0, 25.0, 60.0, 50.0], 0.8),
        detection(5, 4, [200.0, 100.0, 30.0, 30.0], 0.95),
        detection(5, 4, [0.0, 5.0, 120.0, 100.0], 0.6),
        detection(5, 12, [150.0, 50.0, 40.0, 40.0], 0.7),
        detection(8, 9, [25.0, 30.0, 30.0, 30.0], 0.3),
    ]
}

/// The text as other editors save it: with a byte order mark and Windows line ends, and as UTF-16.
fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let windows = text.replace('\n', "\r\n");
    let utf_16: Vec<u16> = format!("\u{feff}{windows}").encode_utf16().collect();
    vec![
        ("plain", text.into()),
        ("CRLF", windows.clone().into()),
        ("mark", format!("\u{feff}{text}").into()),
        ("mark and CRLF", format!("\u{feff}{windows}").into()),
        (
            "UTF-16 LE",
            utf_16.iter().flat_map(|u| u.to_le_bytes()).collect(),
        ),
        (
            "UTF-16 BE",
            utf_16.iter().flat_map(|u| u.to_be_bytes()).collect(),
        ),
    ]
}

#[test]
fn byte_order_mark_and_line_ends_have_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    /// Scores every encoding of a result file against every encoding of its annotations.
    fn check<S: PartialEq + Debug>(
        folder: &TempDir,
        [results, annotations]: [&str; 2],
        score: impl Fn(&Path, &Path) -> Result<S, FileError>,
    ) {
        let mut expected = None;
        for (result_encoding, results) in encodings(results) {
            for (annotation_encoding, annotations) in encodings(annotations) {
                let results = write(folder, "results", &results);
                let annotations = write(folder, "annotations", &annotations);
                let scores = score(&results, &annotations);
                let scores = scores
                    .unwrap_or_else(|e| panic!("{result_encoding}, {annotation_encoding}: {e}"));
                assert_eq!(
                    expected.get_or_insert_with(|| score(&results, &annotations).unwrap()),
                    &scores
                );
            }
        }
    }
    let captions = json!([{"image_id": 2, "caption": "ein Café\nam Markt"}]);
    let references = json!({"annotations": [{"image_id": 2, "caption": "Café am Markt"}]});
    check(
        &folder,
        [&pretty(&captions), &pretty(&references)],
        |r, a| score_captions(r, a, &Selection::All),
    );
    let answers = json!([{"question_id": 4, "answer": "red"}]);
    let questions = json!({"questions": [{"question_id": 4}], "annotations": [{
        "question_id": 4, "question_type": "what", "answer_type": "other", "answers": ["red", "red", "blue"],
    }]});
    check(&folder, [&pretty(&answers), &pretty(&questions)], |r, a| {
        assert_eq!(read_vqa_question_ids(a)?, [4]);
        score_vqa(r, a, &Selection::All)
    });
    check(
        &folder,
        [&pretty(&json!(detections())), &pretty(&instances())],
        |r, a| Ok(score_detections(r, a, &Selection::All)?.scores),
    );
    let labels = "{\"identifier\": \"dev-3-0-0\", \"label\": \"True\"}\n{\"identifier\": \"dev-3-1-0\", \"label\": \"False\"}\n";
    check(
        &folder,
        ["dev-3-0-0,True\ndev-3-1-0,True\n", labels],
        |r, a| score_nlvr2(r, a, &Selection::All),
    );
    // `cat` of two files with marks.
    let joined = write(
        &folder,
        "joined.csv",
        "\u{feff}dev-3-0-0,True\r\n\u{feff}dev-3-1-0,False\r\n",
    );
    let labels = write(&folder, "dev.json", labels);
    let scores = score_nlvr2(joined, labels, &Selection::All).unwrap();
    assert_eq!(scores.scores.accuracy, 1.0);
    let cut = write(&folder, "cut.json", [0xFF, 0xFE, b'[', 0, b']']);
    assert!(error_text(read_vqa_question_ids(cut)).contains("cut.json: invalid UTF-16"));
    let empty = write(&folder, "empty.json", "\u{feff}");
    assert!(error_text(read_vqa_question_ids(empty)).contains("EOF"));
}

#[test]
fn listed_categories_and_images_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    let results = write(&folder, "results.json", json!(detections()).to_string());
    let annotations = write(&folder, "instances.json", instances().to_string());
    let file = score_detections(&results, &annotations, &Selection::All).unwrap();
    let expected = [
        0.575578, 0.833333, 0.585809, 0.5, 0.75, 0.9, 0.5, 0.725, 0.725, 0.5, 0.75, 0.9,
    ];
    assert_stats(&file.scores, expected);
    assert_eq!(
        (file.scored, file.annotated, file.without_results),
        (3, 3, 0)
    );
    let notes: Vec<String> = file
        .notes
        .iter()
        .map(|n| n.replace(&format!("{}/", folder.path().display()), ""))
        .collect();
    assert_eq!(
        notes,
        [
            "instances.json: annotations that are not scored: 1, of category 12, which \"categories\" does not list",
            "instances.json: annotations that are not scored: 1, of image 77, which \"images\" does not list",
            "results.json: detections that are not scored: 1, of category 12, which \"categories\" does not list",
        ]
    );

    // Without the list, all categories are scored.
    for categories in [None, Some(Value::Null)] {
        let mut complete = instances();
        match categories {
            Some(value) => complete["categories"] = value,
            None => _ = complete.as_object_mut().unwrap().remove("categories"),
        }
        let annotations = write(&folder, "complete.json", complete.to_string());
        let file = score_detections(&results, &annotations, &Selection::All).unwrap();
        assert_eq!(file.scores.categories.len(), 3);
        assert!(file.notes[0].contains("complete.json: no list \"categories\""));
    }
    // As in the official tool, nothing is defined without a category.
    let mut empty = instances();
    empty["categories"] = json!([]);
    let annotations = write(&folder, "empty.json", empty.to_string());
    let file = score_detections(&results, &annotations, &Selection::All).unwrap();
    assert_stats(&file.scores, [-1.0; 12]);
    assert!(
        file.notes[0].contains("of category 4, 9, 12, which"),
        "{:?}",
        file.notes
    );
}

#[test]
fn images_may_lack_sizes_and_be_listed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let results = write(&folder, "results.json", json!(detections()).to_string());
    let mut annotations = instances();
    let expected = write(&folder, "instances.json", annotations.to_string());
    let expected = score_detections(&results, &expected, &Selection::All).unwrap();
    annotations["images"] =
        json!([{"id": 3}, {"id": 5, "width": null, "height": null}, {"id": 8}, {"id": 3}]);
    let file = write(&folder, "sizes.json", annotations.to_string());
    let scores = score_detections(&results, &file, &Selection::All).unwrap();
    assert_eq!(scores.scores, expected.scores);
    assert_eq!((scores.scored, scores.notes.len()), (3, 3));
    annotations["images"][3] = json!({"id": 3, "width": 300, "height": 200});
    let file = write(&folder, "sizes.json", annotations.to_string());
    let scores = score_detections(&results, &file, &Selection::All).unwrap();
    assert_eq!(scores.scores, expected.scores);
    assert!(scores.notes[0].contains("image 3 is listed with different sizes"));
    let repeated = r#"{"images": [{"id": 3}], "annotations": [], "images": [{"id": 5}]}"#;
    let file = write(&folder, "repeated.json", repeated);
    let error = error_text(score_detections(&results, &file, &Selection::All));
    assert!(
        error.contains("there is a second list \"images\""),
        "{error}"
    );
}

#[test]
fn crowd_flags_and_areas_are_as_in_the_official_tool() {
    let folder = tempfile::tempdir().unwrap();
    let bbox = |k: usize| {
        [
            [10.0, 10.0, 40.0, 40.0],
            [100.0, 10.0, 40.0, 40.0],
            [160.0, 10.0, 40.0, 40.0],
            [200.0, 100.0, 80.0, 60.0],
            [10.0, 100.0, 20.0, 20.0],
        ][k]
    };
    let boxes = [
        detection(1, 1, [100.0, 12.0, 40.0, 40.0], 0.9),
        detection(1, 1, [10.0, 10.0, 40.0, 40.0], 0.8),
        detection(1, 1, [210.0, 100.0, 40.0, 40.0], 0.7),
        detection(1, 1, [160.0, 12.0, 40.0, 40.0], 0.6),
        detection(1, 1, [60.0, 150.0, 20.0, 20.0], 0.55),
        detection(1, 1, [10.0, 100.0, 20.0, 22.0], 0.5),
    ];
    let results = write(&folder, "results.json", json!(boxes).to_string());
    let image = json!([{"id": 1, "width": 300, "height": 200}]);
    let no_crowds = [const { Value::Null }; 5];
    let crowds = [
        json!(null),
        json!(true),
        json!(false),
        json!(1.0),
        json!(0.0),
    ];
    let with_crowds = [
        0.857921, 0.915842, 0.915842, -1.0, 0.933663, -1.0, 0.0, 0.933333, 0.933333, -1.0,
        0.933333, -1.0,
    ];
    let without_crowds = [
        0.628218, 0.686469, 0.686469, 0.9, 0.578713, -1.0, 0.18, 0.74, 0.74, 0.9, 0.7, -1.0,
    ];
    for (flags, expected) in [(crowds, with_crowds), (no_crowds, without_crowds)] {
        let objects: Vec<Value> = (0..5)
            .map(|k| {
                let mut object = object(1, 1, bbox(k));
                object["iscrowd"] = flags[k].clone();
                // Absent and null areas are those of the box.
                match k {
                    0 => object["area"] = Value::Null,
                    1 => object["area"] = json!(900),
                    2 | 3 => _ = object.as_object_mut().unwrap().remove("area"),
                    _ => object["area"] = json!(2000.0),
                }
                if k == 0 {
                    object.as_object_mut().unwrap().remove("iscrowd");
                }
                object
            })
            .collect();
        let annotations = json!({"info": null, "images": image, "annotations": objects, "categories": [{"id": 1, "name": null}]});
        let annotations = write(&folder, "instances.json", annotations.to_string());
        let file = score_detections(&results, &annotations, &Selection::All).unwrap();
        assert_stats(&file.scores, expected);
        assert_eq!(file.notes, [""; 0]);
    }
    let mut invalid = object(1, 1, bbox(0));
    invalid["iscrowd"] = json!(2);
    let annotations = json!({"images": image, "annotations": [object(1, 1, bbox(1)), invalid]});
    let annotations = write(&folder, "instances.json", annotations.to_string());
    let error = error_text(score_detections(&results, &annotations, &Selection::All));
    assert!(
        error.contains("instances.json: record 1: iscrowd is 2: expected 0 or 1"),
        "{error}"
    );
    let negative = object(1, 1, [10.0, 10.0, -4.0, 40.0]);
    let annotations = json!({"images": image, "annotations": [object(1, 1, bbox(1)), negative]});
    let annotations = write(&folder, "instances.json", annotations.to_string());
    let error = error_text(score_detections(&results, &annotations, &Selection::All));
    assert!(
        error.contains("instances.json: ground truth[1] (image 1): box"),
        "{error}"
    );
}

#[test]
fn detections_of_a_part_of_the_images_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    let annotations = write(&folder, "instances.json", instances().to_string());
    let mut of_two_images = detections();
    of_two_images.retain(|d| d["image_id"] != 8);
    let results = write(&folder, "results.json", json!(of_two_images).to_string());
    let all = score_detections(&results, &annotations, &Selection::All).unwrap();
    assert_stats(
        &all.scores,
        [
            0.451815, 0.585809, 0.585809, 0.0, 0.75, 0.9, 0.375, 0.6, 0.6, 0.0, 0.75, 0.9,
        ],
    );
    assert_eq!((all.scored, all.without_results), (3, 1));
    for selection in [Selection::InResults, Selection::Ids(&[5, 3])] {
        let part = score_detections(&results, &annotations, &selection).unwrap();
        assert_stats(
            &part.scores,
            [
                0.625083, 0.833333, 0.833333, -1.0, 0.75, 0.9, 0.55, 0.775, 0.775, -1.0, 0.75, 0.9,
            ],
        );
        assert_eq!(
            (part.scored, part.annotated, part.without_results),
            (2, 3, 0)
        );
    }
    let error = error_text(score_detections(
        &results,
        &annotations,
        &Selection::Ids(&[3, 6]),
    ));
    assert!(
        error.contains("selected images[1]: id 6 is not in the annotations"),
        "{error}"
    );
    let error = error_text(score_detections(
        &results,
        &annotations,
        &Selection::Ids(&[3]),
    ));
    assert!(error.contains("image 5 is not among the 1"), "{error}");
    let empty = write(&folder, "empty.json", "[]");
    let error = error_text(score_detections(
        &empty,
        &annotations,
        &Selection::InResults,
    ));
    assert!(
        error.contains("empty.json: AP: nothing to score"),
        "{error}"
    );
    // An image whose only detection is of an unlisted category is scored.
    let single = json!([detection(5, 12, [1.0, 1.0, 5.0, 5.0], 0.5)]);
    let single = write(&folder, "single.json", single.to_string());
    let file = score_detections(&single, &annotations, &Selection::InResults).unwrap();
    assert_eq!((file.scored, file.scores.ap), (1, Some(0.0)));
}

#[test]
fn texts_of_a_part_of_the_annotations_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    let caption = |image: u64, caption: &str| json!({"image_id": image, "caption": caption});
    let part = [
        caption(6, "a black cat sleeps on a chair"),
        caption(6, "the cat is asleep"),
        caption(2, "two children fly a kite"),
        caption(2, "kids with a kite in a field"),
    ];
    let all = [
        &part[..],
        &[caption(1, "a train"), caption(9, "a bridge over a river")],
    ]
    .concat();
    let [part, all] = [("part.json", &part[..]), ("all.json", &all[..])]
        .map(|(name, captions)| write(&folder, name, json!({"annotations": captions}).to_string()));
    let results = json!([
        caption(2, "two kids fly a kite in a field"),
        caption(6, "a cat on a chair")
    ]);
    let results = write(&folder, "captions.json", results.to_string());
    let expected = score_captions(&results, &part, &Selection::All).unwrap();
    let file = score_captions(&results, &all, &Selection::InResults).unwrap();
    assert_eq!(file.scores, expected.scores);
    assert_eq!((file.scored, file.annotated), (2, 4));
    let captions = read_annotated_captions(&results, &all, &Selection::InResults).unwrap();
    assert_eq!(caption_scores(&captions.pairs()).unwrap(), expected.scores);
    let error = error_text(score_captions(&results, &all, &Selection::All));
    assert!(
        error.contains("2 of 4 ids have no record, the first is image 1"),
        "{error}"
    );
    let empty = write(&folder, "none.json", "[]");
    let error = error_text(score_captions(&empty, &all, &Selection::InResults));
    assert!(error.contains("4 of 4 ids have no record"), "{error}");
    let other = write(&folder, "other.json", json!([caption(5, "x")]).to_string());
    let error = error_text(score_captions(&other, &all, &Selection::InResults));
    assert!(
        error.contains("record 0: image 5 is not among the 4"),
        "{error}"
    );

    let question = |id: u64, kind: &str| json!({"question_id": id, "question_type": kind, "answer_type": kind, "answers": ["red", "red", "red", "blue"]});
    let questions = json!({"annotations": [question(11, "what"), question(12, "how many"), question(13, "what")]});
    let annotations = write(&folder, "questions.json", questions.to_string());
    let answers =
        json!([{"question_id": 13, "answer": "blue"}, {"question_id": 11, "answer": "red"}]);
    let results = write(&folder, "answers.json", answers.to_string());
    let file = score_vqa(&results, &annotations, &Selection::InResults).unwrap();
    // Of four annotators, three others or two others answered "red", and one or none "blue".
    let [red, blue] = [0.25 * (1.0 + 3.0 * 2.0 / 3.0), 0.25 * (3.0 / 3.0)];
    assert!((file.scores.overall - (red + blue) / 2.0).abs() < 1e-12);
    assert_eq!(file.scores.by_question_type.len(), 1);
    assert_eq!((file.scored, file.annotated), (2, 3));
    let error = error_text(score_vqa(&results, &annotations, &Selection::All));
    assert!(
        error.contains("1 of 3 ids have no record, the first is question 12"),
        "{error}"
    );
    let duplicates = json!({"annotations": [question(11, "what"), question(11, "what")]});
    let duplicates = write(&folder, "twice.json", duplicates.to_string());
    let error = error_text(score_vqa(&results, &duplicates, &Selection::InResults));
    assert!(
        error.contains("twice.json: record 1: question 11 is also the id of record 0"),
        "{error}"
    );

    let example =
        |id: &str, label: &str| format!("{}\n", json!({"identifier": id, "label": label}));
    let labels = [
        example("dev-7-0-0", "True"),
        example("dev-7-1-0", "False"),
        example("dev-8-0-0", "True"),
    ];
    let annotations = write(&folder, "dev.json", labels.concat());
    let results = write(
        &folder,
        "predictions.csv",
        "dev-7-1-0,False\ndev-7-0-0,False\n",
    );
    let file = score_nlvr2(&results, &annotations, &Selection::InResults).unwrap();
    assert_eq!((file.scores.accuracy, file.scores.consistency), (0.5, 0.0));
    assert_eq!((file.scored, file.annotated), (2, 3));
    let error = error_text(score_nlvr2(&results, &annotations, &Selection::All));
    assert!(
        error.contains("the first is identifier dev-8-0-0"),
        "{error}"
    );
    let twice = write(
        &folder,
        "twice.json",
        [&labels[0], &labels[0]].map(String::as_str).concat(),
    );
    let error = error_text(score_nlvr2(&results, &twice, &Selection::InResults));
    assert!(
        error.contains("twice.json: record 1: identifier dev-7-0-0 is also"),
        "{error}"
    );
}
