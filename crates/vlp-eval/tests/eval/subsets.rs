//! Result files for a part of the annotations. The expected AP is that of `pycocotools` 2.0.11.

use std::fs;

use crate::common::{assert_stats, detection, detections, error_text, instances, write};
use serde_json::{Value, json};
use vlp_eval::caption::caption_scores;
use vlp_eval::results::{
    Selection, read_annotated_captions, score_captions, score_detections, score_nlvr2, score_vqa,
};

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
fn captions_of_a_part_of_the_images_are_scored() {
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
    // Only listed images are annotated.
    let mut listed: Value = serde_json::from_slice(&fs::read(&all).unwrap()).unwrap();
    listed["images"] = json!([{"id": 6}, {"id": 2}]);
    let listed = write(&folder, "listed.json", listed.to_string());
    let file = score_captions(&results, &listed, &Selection::All).unwrap();
    assert_eq!((&file.scores, file.annotated), (&expected.scores, 2));
    assert!(
        file.notes[0].contains("listed.json: annotations that are not scored: 2, of image 1, 9")
    );
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
}

#[test]
fn answers_to_a_part_of_the_questions_are_scored() {
    let folder = tempfile::tempdir().unwrap();
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
}

#[test]
fn predictions_for_a_part_of_the_image_pairs_are_scored() {
    let folder = tempfile::tempdir().unwrap();
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
