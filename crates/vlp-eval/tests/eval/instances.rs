//! COCO annotations as other tools write them. The expected AP is that of `pycocotools` 2.0.11.

use crate::common::{assert_stats, detection, detections, error_text, instances, object, write};
use serde_json::{Value, json};
use vlp_eval::results::{Selection, score_detections};

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
fn area_that_is_not_a_number_is_that_of_the_box() {
    let folder = tempfile::tempdir().unwrap();
    let results = write(&folder, "results.json", json!(detections()).to_string());
    let ap = |areas: &str| {
        let mut file = instances();
        for annotation in file["annotations"].as_array_mut().unwrap() {
            annotation["area"] = json!("AREA");
        }
        let text = file.to_string().replace("\"AREA\"", areas);
        let annotations = write(&folder, "instances.json", text);
        let file = score_detections(&results, &annotations, &Selection::All);
        file.unwrap().scores
    };
    assert_eq!(ap("NaN"), ap("null"));
}
