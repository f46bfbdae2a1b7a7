//! Own data in the public formats: accents in file names, identifiers of another form, boxes that reach outside the image.

use std::{fs, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_data::{
    AnnotatedObject, Example, Examples, ResizeRule, Source,
    read::{
        CocoFiles, FileSource, GenericOptions, SnliVeText, VqaFiles, coco, generic, name_key,
        nlvr2, snli_ve, vqa,
    },
    shards::{Folder, PackOptions, ShardOptions, open, pack},
};

use crate::{assert_skipped, folder, limits, put, texts};

/// "é" and "ü" as one character each, and as letters with combining accents.
const COMPOSED: &str = "\u{e9}t\u{fc}";
const DECOMPOSED: &str = "e\u{301}tu\u{308}";

#[test]
fn accents_are_found_in_composed_and_decomposed_form() {
    for (on_disk, annotated) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
        let dir = folder(&[
            &format!("{on_disk}/{on_disk}.png"),
            &format!("{on_disk}/plain.png"),
            &format!("{on_disk}.jpg"),
        ]);
        let records = json!([
            {"image": format!("{annotated}/{annotated}.png"), "caption": "both"},
            {"image": format!("./{on_disk}/{annotated}.png"), "caption": "same image"},
            {"image": format!("{annotated}/plain.png"), "caption": "folder"},
            {"image": format!("{annotated}x.png"), "caption": "missing"},
        ]);
        let file = put(&dir, "own.json", records.to_string());
        let source = generic(file, GenericOptions::default()).unwrap();
        assert_skipped(&source, &[("record 4", "is missing")]);
        for index in 0..3 {
            assert_eq!(source.load(index).unwrap().image.width, 8);
        }
        assert_eq!(source.key(0), source.key(1));
        assert_eq!(source.report().images, 2);

        let line = |id: u64, name: &str| {
            json!({"Flickr30K_ID": name, "sentence2": "a dog", "gold_label": "neutral", "pairID": id.to_string()}).to_string()
        };
        let lines = [line(1, annotated), line(2, on_disk)].join("\n");
        let file = put(&dir, "snli.jsonl", lines);
        let source = snli_ve(file, dir.path(), SnliVeText::Hypothesis, &limits()).unwrap();
        assert_skipped(&source, &[]);
        assert_eq!(
            (source.key(0), source.key(1)),
            (name_key(COMPOSED), name_key(COMPOSED))
        );
    }
}

#[test]
fn exact_file_name_is_preferred_to_an_equivalent_one() {
    let dir = folder(&[&format!("{DECOMPOSED}.png"), &format!("{COMPOSED}.png")]);
    let other = image::RgbImage::new(3, 2);
    other
        .save(dir.path().join(format!("{COMPOSED}.png")))
        .unwrap();
    for (name, width) in [(COMPOSED, 3), (DECOMPOSED, 8)] {
        let record = json!([{"image": format!("{name}.png"), "caption": "a"}]);
        let file = put(&dir, "own.json", record.to_string());
        let source = generic(file, GenericOptions::default()).unwrap();
        assert_eq!(source.load(0).unwrap().image.width, width);
    }
}

#[test]
fn nlvr2_statements_with_identifiers_of_another_form_are_read() {
    let pairs = ["mine", "v1.0-3", "v1.0-4", "a-b-c-d", "dev-1-0"];
    let images = pairs
        .iter()
        .flat_map(|pair| [0, 1].map(|side| format!("{pair}-img{side}.png")));
    let images: Vec<String> = images.collect();
    let dir = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
    let other = image::RgbImage::new(3, 2);
    other.save(dir.path().join("v1.0-4-img1.png")).unwrap();
    let line = |id: &str| json!({"identifier": id, "sentence": id, "label": "True"}).to_string();
    let lines = [
        "mine-0",
        "v1.0-3-0",
        "v1.0-4-0",
        "a-b-c-d-9",
        "dev-1-0-1",
        "alone",
    ]
    .map(line);
    let file = put(&dir, "dev.json", lines.join("\n"));
    let source = nlvr2(file, dir.path(), &limits()).unwrap();
    assert_skipped(&source, &[("line 6", "PAIR-SENTENCE")]);
    assert_eq!(source.len(), 5);
    let right = |index| source.load(index).unwrap().second_image.unwrap().width;
    assert_eq!((right(1), right(2)), (8, 3));
}

#[test]
fn vqa_question_about_another_image_than_its_annotation_is_skipped() {
    let dir = folder(&["val/x_1.png", "val/x_2.png"]);
    let question = |id: u64, image: u64| json!({"question_id": id, "image_id": image, "question": "what is it?"});
    let annotation = |id: u64, image: Option<u64>| json!({"question_id": id, "image_id": image, "multiple_choice_answer": "dog", "answers": [{"answer": "dog"}]});
    let questions = json!({"questions": [question(1, 1), question(2, 1), question(3, 2)]});
    let annotations = json!({"annotations": [annotation(1, Some(1)), annotation(2, Some(2)), annotation(3, None)]});
    put(
        &dir,
        "v2_OpenEnded_mscoco_val_questions.json",
        questions.to_string(),
    );
    put(
        &dir,
        "v2_mscoco_val_annotations.json",
        annotations.to_string(),
    );
    let source = vqa(&VqaFiles::find(dir.path(), "val").unwrap(), &limits()).unwrap();
    assert_skipped(
        &source,
        &[("question 2", "its image_id is 1, but 2 in its annotation")],
    );
    assert_eq!(texts(&source).len(), 2);
}

/// COCO files of image 1, `a.png` of 8x6 pixels, with these instances.
fn coco_source(dir: &TempDir, instances: &Value) -> FileSource {
    fs::create_dir_all(dir.path().join("annotations")).unwrap();
    let images = json!([{"id": 1, "file_name": "a.png", "width": 8, "height": 6}]);
    let captions = json!({"images": images, "annotations": [{"image_id": 1, "caption": "a dog"}]});
    put(dir, "annotations/captions_x.json", captions.to_string());
    put(dir, "annotations/instances_x.json", instances.to_string());
    coco(&CocoFiles::find(dir.path(), None).unwrap(), &limits()).unwrap()
}

#[test]
fn boxes_are_scored_as_annotated_and_trained_on_as_clipped() {
    let dir = folder(&["images/a.png"]);
    let bboxes = json!([
        [-1.1, 1.3, 4.7, 9.9],
        [20, 1, 2, 2],
        [2, 2, 0, 3],
        [1, 1, -1, 2],
        [null, 1, 2, 2],
        [1, 1, 2, 2],
        [1e308, 0, 1e308, 1],
        [0, 0, 1e200, 1e200]
    ]);
    let instances: Vec<_> = (1..)
        .zip(bboxes.as_array().unwrap())
        .map(|(id, bbox)| json!({"id": id, "image_id": 1, "category_id": 3, "bbox": bbox, "iscrowd": u8::from(id == 2)}))
        .collect();
    let instances = json!({"annotations": instances, "categories": [{"id": 3, "name": "dog"}]});
    let source = coco_source(&dir, &instances);
    assert_skipped(
        &source,
        &[
            ("instance 2", "no area inside the image"),
            ("instance 3", "no area inside the image"),
            ("instance 4", "no area inside the image"),
            ("instance 5", "not finite"),
            ("instance 7", "not finite"),
        ],
    );
    assert_eq!(source.report().objects, 3);
    let targets: Vec<[f32; 4]> = source
        .objects(0)
        .unwrap()
        .unwrap()
        .iter()
        .map(|o| o.bbox)
        .collect();
    assert_eq!(
        targets,
        [
            [0.0, 1.3, 3.6, 6.0],
            [1.0, 1.0, 3.0, 3.0],
            [0.0, 0.0, 8.0, 6.0]
        ]
    );
    let object = |bbox: [f64; 4], crowd| AnnotatedObject {
        class: 0,
        bbox,
        attributes: vec![],
        crowd,
        area: (bbox[2] * bbox[3]).min(f64::MAX),
    };
    let expected = [
        object([-1.1, 1.3, 4.7, 9.9], false),
        object([20.0, 1.0, 2.0, 2.0], true),
        object([2.0, 2.0, 0.0, 3.0], false),
        object([1.0, 1.0, 2.0, 2.0], false),
        object([0.0, 0.0, 1e200, 1e200], false),
    ];
    assert_eq!(source.annotated_objects(0).unwrap().unwrap(), expected);
    let resize = ResizeRule::Exact {
        width: 32,
        height: 32,
    };
    let example: Example = Examples::new(Arc::new(source), resize).load(0, 0).unwrap();
    assert_eq!(example.original_objects.unwrap(), expected);
    assert_eq!(example.objects.unwrap().len(), 3);
}

#[test]
fn categories_of_one_name_stay_apart_in_shards() {
    let dir = folder(&["images/a.png"]);
    let category = |id: u64, name: &str| json!({"id": id, "name": name});
    let categories = [
        category(0, "dogs"),
        category(1, "dogs"),
        category(2, "cat"),
        category(3, "dogs"),
    ];
    let instances: Vec<_> = (0..4)
        .map(|id| json!({"id": id, "image_id": 1, "category_id": id, "bbox": [1, 1, 2, 2]}))
        .collect();
    let instances = json!({"annotations": instances, "categories": categories});
    let source = coco_source(&dir, &instances);
    assert_eq!(
        source.labels().classes,
        ["dogs", "dogs (1)", "cat", "dogs (3)"]
    );
    let out = dir.path().join("packed");
    pack(&source, &out, &PackOptions::default()).unwrap();
    let shards = open(
        Arc::new(Folder::open(out).unwrap()),
        ShardOptions::default(),
    )
    .unwrap();
    let classes = |source: &dyn Source| -> Vec<usize> {
        let objects = source.objects(0).unwrap().unwrap();
        objects.iter().map(|object| object.class).collect()
    };
    assert_eq!(classes(&source), [0, 1, 2, 3]);
    assert_eq!(classes(&shards.source), [0, 1, 2, 3]);
}
