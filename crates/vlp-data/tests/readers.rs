//! Readers: one table of good and bad records for each format, and real files where variables name them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::{fs, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_data::{
    AnswerType, CocoSource, DataError, Entailment, FileSource, Label, Limits, Picture, Source,
    coco::CocoOptions,
    read::{
        GenericOptions, GenomeFiles, KarpathySplit, VqaFiles, generic, karpathy, name_key, nlvr2,
        snli_ve, visual_genome, vqa,
    },
};

fn limits() -> Limits {
    Limits::default()
}

/// A folder with pictures of 8 x 6 pixels.
fn folder(pictures: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let picture = Picture::filled(8, 6, [9, 99, 199]);
    let image = image::RgbImage::from_raw(8, 6, picture.rgb).unwrap();
    for name in pictures {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    }
    dir
}

fn put(dir: &TempDir, name: &str, text: impl AsRef<str>) -> std::path::PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text.as_ref()).unwrap();
    path
}

/// The faults are exactly these (record, part of the reason), in any order.
fn faults(source: &FileSource, expected: &[(&str, &str)]) {
    let report = source.report();
    for (record, reason) in expected {
        assert!(
            report
                .faults
                .iter()
                .any(|f| f.record == *record && f.reason.contains(reason)),
            "{record}: {reason}: {:#?}",
            report.faults
        );
    }
    assert_eq!(report.faults.len(), expected.len(), "{:#?}", report.faults);
    assert_eq!(report.left_out, expected.len());
    assert!(
        report
            .faults
            .iter()
            .all(|f| Path::new(&f.file).is_file() && !f.source.is_empty())
    );
}

fn texts(source: &dyn Source) -> Vec<String> {
    let first = |index| source.captions(index).unwrap().swap_remove(0);
    (0..source.len()).map(first).collect()
}

fn long() -> String {
    "word ".repeat(2_000_000)
}

#[test]
fn vqa_files() {
    let dir = folder(&[
        "train2014/COCO_train2014_000000000009.png",
        "train2014/COCO_train2014_000000000010.png",
    ]);
    let answers = |all: [&str; 3]| all.map(|a| json!({ "answer": a, "answer_id": 1 }));
    let questions = json!({ "info": {}, "questions": [
        { "image_id": 9, "question": " What is it? ", "question_id": 90 },
        { "image_id": 10, "question": "How many?", "question_id": 100 },
        { "image_id": 9, "question": "Again?", "question_id": 90 },
        { "image_id": 11, "question": "Without picture?", "question_id": 110 },
        { "image_id": 9, "question": "?!", "question_id": 91 },
        { "image_id": 9, "question": long(), "question_id": 92 },
        { "image_id": 9, "question": "Without annotation?", "question_id": 93 },
        { "image_id": 9, "question_id": 94 },
        { "image_id": "nine", "question": "Text?", "question_id": 95 },
        { "image_id": 9, "question": "Is it?", "question_id": 96 },
    ]});
    let annotation = |id: u64| {
        json!({ "question_id": id, "image_id": 9, "question_type": "what is", "answer_type": "other",
        "multiple_choice_answer": "cat", "answers": answers(["cat", "A cat", "cat"]) })
    };
    let mut yes = annotation(96);
    yes["answer_type"] = json!("yes/no");
    let mut none = annotation(97);
    none["answers"] = json!([]);
    let mut odd = annotation(98);
    odd["answer_type"] = json!("colour");
    let annotations = json!({ "annotations": [
        annotation(90), annotation(100), annotation(90), annotation(110), annotation(91), annotation(92), yes, none, odd,
        annotation(99), { "answers": [] },
    ]});
    put(
        &dir,
        "v2_OpenEnded_mscoco_train2014_questions.json",
        questions.to_string(),
    );
    put(
        &dir,
        "v2_mscoco_train2014_annotations.json",
        annotations.to_string(),
    );
    let files = VqaFiles::find(dir.path(), "train2014").unwrap();
    let source = vqa(&files, &limits()).unwrap();
    assert_eq!(texts(&source), ["What is it?", "How many?", "Is it?"]);
    faults(
        &source,
        &[
            ("question 90", "occurs twice"),
            ("question 110", "missing"),
            ("question 91", "no words"),
            ("question 92", "9999999 bytes"),
            ("question 93", "no annotation"),
            ("question number 8", "lacks"),
            ("question number 9", "invalid type"),
            ("annotation of question 90", "occurs twice"),
            ("annotation of question 97", "no answers"),
            ("annotation number 9", "colour"),
            ("annotation number 11", "lacks question_id"),
            ("annotation of question 99", "no such question"),
        ],
    );
    assert_eq!((source.report().samples, source.report().images), (3, 2));
    let sample = source.load(0).unwrap();
    assert_eq!((sample.key, source.size(0)), (9, (8, 6)));
    assert_eq!(
        sample.label,
        Some(Label::Answers(vec![
            "cat".into(),
            "A cat".into(),
            "cat".into()
        ]))
    );
    assert_eq!(source.label(0).unwrap(), sample.label);
    let record = sample.record.unwrap();
    assert_eq!(
        (record.id.as_str(), record.question_type.as_deref()),
        ("90", Some("what is"))
    );
    assert_eq!(
        source.load(2).unwrap().record.unwrap().answer_type,
        Some(AnswerType::YesNo)
    );
    assert_eq!(
        (source.consensus(1), source.coco_id(1)),
        (Some("cat"), Some(10))
    );

    // A test split: no annotations, no labels.
    let open = VqaFiles {
        annotations: vec![],
        ..files
    };
    let test = vqa(&open, &limits()).unwrap();
    assert_eq!(
        (test.len(), test.label(2).unwrap(), test.consensus(0)),
        (4, None, None)
    );
    let missing = VqaFiles::find(dir.path(), "val2014")
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("splits there are: [train2014]"),
        "{missing}"
    );
}

#[test]
fn nlvr2_files() {
    let pair = |pair: &str| [format!("{pair}-img0.png"), format!("{pair}-img1.png")];
    let mut pictures: Vec<String> = [
        pair("dev-1-0"),
        pair("images/train/7/train-2-1"),
        pair("images/dev/dev-3-0"),
        pair("odd/dev-5-0"),
    ]
    .concat();
    pictures.push("dev-4-0-img0.png".into());
    let names: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let dir = folder(&names);
    // Left and right must not be mixed up.
    let right = image::RgbImage::from_raw(2, 3, vec![7; 18]).unwrap();
    right.save(dir.path().join("dev-1-0-img1.png")).unwrap();
    let line = |id: &str, sentence: &str, label: &str| json!({ "identifier": id, "sentence": sentence, "label": label, "left_url": "", "writer": "1" });
    let mut train = line("train-2-1-0", "a train one", "False");
    train["directory"] = json!(7);
    let mut named = line("dev-5-0-0", "in a named folder", "True");
    named["directory"] = json!("odd");
    let unlabelled = json!({ "identifier": "dev-1-0-2", "sentence": "without label" });
    let lines = [
        line("dev-1-0-0", "both have dogs", "True").to_string(),
        train.to_string(),
        "{\"identifier\": \"dev-1-0-1\", ".into(),
        line("dev-1-0-0", "again", "True").to_string(),
        line("dev-9-0-0", "no pictures", "True").to_string(),
        line("dev-4-0-0", "no right picture", "True").to_string(),
        line("dev-1-0-3", "odd label", "Maybe").to_string(),
        line("dev-1-0-4", "...", "True").to_string(),
        line("dev-1", "odd identifier", "True").to_string(),
        String::new(),
        unlabelled.to_string(),
        line("dev-3-0-0", "nested", "True").to_string(),
        named.to_string(),
    ];
    let file = put(&dir, "dev.json", lines.join("\r\n"));
    let source = nlvr2(&file, dir.path(), &limits()).unwrap();
    assert_eq!(
        texts(&source),
        [
            "both have dogs",
            "a train one",
            "without label",
            "nested",
            "in a named folder"
        ]
    );
    faults(
        &source,
        &[
            ("line 3", "EOF"),
            ("line 4", "occurs twice"),
            ("line 5", "dev-9-0-img0.png is missing"),
            ("line 6", "dev-4-0-img1.png is missing"),
            ("line 7", "Maybe"),
            ("line 8", "no words"),
            ("line 9", "SPLIT-SET-PAIR-SENTENCE"),
        ],
    );
    assert_eq!(source.report().missing_pictures, 2);
    let sample = source.load(0).unwrap();
    let right = sample.second.unwrap();
    assert_eq!((sample.picture.width, right.width, right.height), (8, 2, 3));
    assert_eq!(
        (sample.label, sample.key),
        (Some(Label::Truth(true)), name_key("dev-1-0"))
    );
    assert_eq!(sample.record.unwrap().id, "dev-1-0-0");
    assert_eq!(source.load(1).unwrap().label, Some(Label::Truth(false)));
    assert_eq!(source.load(2).unwrap().label, None);
    assert_eq!(source.key(0), source.key(2));
}

#[test]
fn snli_ve_files() {
    let dir = folder(&["12.png", "13.png"]);
    for name in ["12", "13"] {
        // The header decides, not the name.
        fs::rename(
            dir.path().join(format!("{name}.png")),
            dir.path().join(format!("{name}.jpg")),
        )
        .unwrap();
    }
    let line = |key: &str, image: &str, label: &str, id: &str, text: &str| {
        json!({ key: image, "gold_label": label, "pairID": id, "sentence1": "", "sentence2": text })
            .to_string()
    };
    let lines = [
        line(
            "Flickr30K_ID",
            "12",
            "entailment",
            "12.jpg#0",
            "people are outdoors",
        ),
        line(
            "Flikr30kID",
            "13.jpg",
            "neutral",
            "13.jpg#0",
            "a dog sleeps",
        ),
        line("Flickr30K_ID", "12", "-", "12.jpg#1", "nobody agreed"),
        line(
            "Flickr30K_ID",
            "12",
            "contradiction",
            "12.jpg#2",
            "nobody is there",
        ),
        line(
            "Flickr30K_ID",
            "12",
            "contradiction",
            "12.jpg#0",
            "the same pair",
        ),
        line("Flickr30K_ID", "14", "neutral", "14.jpg#0", "no picture"),
        line("Flickr30K_ID", "12", "maybe", "12.jpg#3", "odd label"),
        line("Image", "12", "neutral", "12.jpg#4", "no image"),
        line("Flickr30K_ID", "12", "neutral", "12.jpg#5", " "),
        "not JSON".into(),
    ];
    let file = put(&dir, "snli_ve_dev.jsonl", lines.join("\n"));
    let source = snli_ve(&file, dir.path(), &limits()).unwrap();
    assert_eq!(
        texts(&source),
        ["people are outdoors", "a dog sleeps", "nobody is there"]
    );
    faults(
        &source,
        &[
            ("line 5", "occurs twice"),
            ("line 6", "14.jpg is missing"),
            ("line 7", "maybe"),
            ("line 8", "Flickr30K_ID"),
            ("line 9", "no words"),
            ("line 10", "expected"),
        ],
    );
    assert_eq!(source.report().unlabelled, 1);
    let labels: Vec<Label> = (0..3).map(|i| source.label(i).unwrap().unwrap()).collect();
    assert_eq!(
        labels,
        [
            Entailment::Entailment,
            Entailment::Neutral,
            Entailment::Contradiction
        ]
        .map(Label::Entailment)
    );
    assert_eq!(
        [
            Entailment::Contradiction,
            Entailment::Neutral,
            Entailment::Entailment
        ]
        .map(|l| l as usize),
        [0, 1, 2]
    );
    let sample = source.load(0).unwrap();
    assert_eq!(
        (sample.record.unwrap().id.as_str(), sample.key),
        ("12.jpg#0", name_key("12.jpg"))
    );
    assert_eq!(source.key(0), source.key(2));
}

#[test]
fn karpathy_files() {
    let dir = folder(&["train2014/a.png", "val2014/b.png", "val2014/c.png", "d.png"]);
    let image = |file: &str, path: &str, id: u64, split: &str, captions: &[&str]| {
        json!({ "filepath": path, "filename": file, "cocoid": id, "split": split,
        "sentences": captions.iter().map(|raw| json!({ "raw": raw, "tokens": [] })).collect::<Vec<_>>() })
    };
    let file = json!({ "dataset": "coco", "images": [
        image("a.png", "train2014", 1, "train", &["one", " two "]),
        image("b.png", "val2014", 2, "restval", &["three", "..."]),
        image("c.png", "val2014", 3, "test", &["four"]),
        image("a.png", "train2014", 1, "train", &["again"]),
        image("x.png", "train2014", 4, "train", &["no picture"]),
        image("d.png", "val2014", 5, "train", &[]),
        image("d.png", "val2014", 6, "everything", &["odd split"]),
    ]});
    let path = put(&dir, "dataset_coco.json", file.to_string());
    let source = karpathy(&path, dir.path(), &KarpathySplit::TRAINING, &limits()).unwrap();
    assert_eq!(texts(&source), ["one", "three"]);
    assert_eq!(source.captions(0).unwrap(), ["one", "two"]);
    faults(
        &source,
        &[
            ("image a.png", "occurs twice"),
            ("image b.png, sentence 2", "no words"),
            ("image x.png", "missing"),
            ("image 5", "no caption"),
            ("image number 7", "everything"),
        ],
    );
    assert_eq!(
        (source.report().other_splits, source.coco_id(1)),
        (1, Some(2))
    );
    let test = karpathy(&path, dir.path(), &[KarpathySplit::Test], &limits()).unwrap();
    assert_eq!((test.len(), test.key(0)), (1, 3));

    let flickr = json!({ "dataset": "flickr30k", "images": [
        { "filename": "d.png", "imgid": 0, "split": "val", "sentences": [{ "raw": "a dog" }] } ]});
    let path = put(&dir, "dataset_flickr30k.json", flickr.to_string());
    let source = karpathy(&path, dir.path(), &[KarpathySplit::Val], &limits()).unwrap();
    assert_eq!(
        (source.key(0), source.coco_id(0)),
        (name_key("d.jpg"), None)
    );
    assert_eq!(source.load(0).unwrap().captions, ["a dog"]);
    let error = |text: &str| {
        let path = put(&dir, "wrong.json", text);
        let source = karpathy(path, dir.path(), &KarpathySplit::HELD_OUT, &limits());
        source.err().unwrap().to_string()
    };
    assert!(error("{\"images\": {}}").contains("\"images\" is not a list"));
    assert!(error("{\"images\": [").contains("is it a part of the file only?"));
    assert!(error("[]").contains("it must be an object with \"images\""));
    let all_wrong = error("{\"images\": [{\"split\": \"val\"}]}");
    assert!(
        all_wrong
            .contains("all of 1 records are wrong; the first: image number 1: it lacks filename"),
        "{all_wrong}"
    );
}

#[test]
fn visual_genome_files() {
    let dir = folder(&["VG_100K/1.png", "VG_100K_2/2.png", "3.png"]);
    for path in ["VG_100K/1", "VG_100K_2/2", "3"] {
        fs::rename(
            dir.path().join(format!("{path}.png")),
            dir.path().join(format!("{path}.jpg")),
        )
        .unwrap();
    }
    let image = |id: u64, coco: Option<u64>| {
        json!({ "image_id": id, "width": 8, "height": 6, "coco_id": coco, "flickr_id": null,
        "url": format!("https://example.org/VG_100K_2/{id}.jpg") })
    };
    let mut flat = image(6, None);
    flat["height"] = json!(0);
    let images = json!([
        image(1, Some(77)),
        image(2, None),
        image(3, None),
        image(1, None),
        image(5, None),
        flat
    ]);
    let region = |id: u64, phrase: Value| json!({ "region_id": id, "image_id": 1, "phrase": phrase, "x": 0, "y": 0, "width": 1, "height": 1 });
    let regions = json!([
        { "id": 1, "regions": [region(11, json!("a red car ")), region(12, json!("  ")), region(13, Value::Null)] },
        { "id": 2, "regions": [region(21, json!("grass"))] },
        { "id": 5, "regions": [region(51, json!("of the missing picture"))] },
        { "id": 8, "regions": [region(81, json!("of no image"))] },
    ]);
    let thing = |id: u64, name: &str, bbox: [i32; 4]| json!({ "object_id": id, "x": bbox[0], "y": bbox[1], "w": bbox[2], "h": bbox[3], "names": [name], "synsets": [] });
    let objects = json!([
        { "image_id": 1, "objects": [
            thing(100, "automobile", [1, 1, 3, 2]), thing(101, "unicorn", [1, 1, 3, 2]), thing(102, " Car", [-3, 0, 30, 2]),
            thing(103, "car", [1, 1, 0, 2]), { "object_id": 104, "x": null, "y": 1, "w": 2, "h": 2, "names": ["car"] },
            { "id": 105, "x": 0, "y": 0, "width": 8, "height": 6, "names": ["lawn", "grass"] } ] },
        { "image_id": 2, "objects": [] }, { "image_id": 9, "objects": [] },
    ])
    .to_string()
    .replace("null", "NaN");
    let attributes = json!([
        { "image_id": 1, "attributes": [
            { "object_id": 100, "attributes": ["Red", "shiny", "red"] },
            { "attribute": { "object_id": 102, "attributes": ["green"] } }, { "object_id": 101 } ] },
        "not an image",
    ]);
    let files = GenomeFiles {
        image_data: put(&dir, "image_data.json", images.to_string()),
        regions: put(&dir, "region_descriptions.json", regions.to_string()),
        images: dir.path().into(),
        objects: Some((
            put(&dir, "objects.json", objects),
            put(&dir, "objects_vocab.txt", "car,automobile\ngrass\n\n"),
        )),
        attributes: Some((
            put(&dir, "attributes.json", attributes.to_string()),
            put(&dir, "attributes_vocab.txt", "green\nred,crimson"),
        )),
    };
    let source = visual_genome(&files, &limits()).unwrap();
    assert_eq!(texts(&source), ["a red car", "grass"]);
    faults(
        &source,
        &[
            ("image 1", "occurs twice"),
            ("image 5", "missing"),
            ("image 6", "size is 8x0"),
            ("region 12", "no words"),
            ("region 13", "lacks phrase"),
            ("image 8", "no such image"),
            ("image number 2", "invalid type"),
            ("object 103", "no area"),
            ("object 104", "not finite"),
            ("image 9", "no such image"),
            ("image 3", "no caption"),
        ],
    );
    let report = source.report();
    assert_eq!(
        (
            report.outside_vocabulary,
            report.clipped_boxes,
            report.empty_boxes
        ),
        (2, 1, 2)
    );
    assert_eq!(source.labels().classes, ["car", "grass"]);
    assert_eq!(source.labels().attributes, ["green", "red"]);
    let sample = source.load(0).unwrap();
    let objects: Vec<_> = sample
        .objects
        .unwrap()
        .into_iter()
        .map(|o| (o.class, o.bbox, o.attributes))
        .collect();
    assert_eq!(
        objects,
        [
            (0, [1.0, 1.0, 4.0, 3.0], vec![1]),
            (0, [0.0, 0.0, 8.0, 2.0], vec![0]),
            (1, [0.0, 0.0, 8.0, 6.0], vec![]),
        ]
    );
    assert_eq!((source.coco_id(0), source.coco_id(1)), (Some(77), None));
    assert_eq!(source.load(1).unwrap().objects, Some(vec![]));
    let empty = GenomeFiles {
        objects: Some((files.regions.clone(), put(&dir, "none.txt", "\n"))),
        ..files
    };
    let error = visual_genome(&empty, &limits()).err().unwrap().to_string();
    assert!(
        error.contains("none.txt") && error.contains("one a line"),
        "{error}"
    );
}

#[test]
fn files_of_ones_own() {
    let dir = folder(&["pictures/a.png", "pictures/b.png"]);
    let good = [
        json!({ "image": "a.png", "caption": "one" }),
        json!({ "image": "b.png", "captions": ["two", "three"], "image_id": 5, "width": 8, "height": 6,
            "boxes": [{ "bbox": [1, 1, 3, 2], "label": "dog", "attributes": ["wet"] }, { "bbox": [1, 1, 0, 2], "label": "dog" },
                      { "bbox": [0, 0, 8, 6], "label": "cat" }, { "bbox": [1], "label": "cat" }] }),
        json!({ "image": "a.png", "question": "what?", "answer": "dog", "id": 3, "answer_type": "other" }),
        json!({ "image": "a.png", "question": "who?", "answers": ["dog", "cat", "cat"] }),
        json!({ "image": "a.png", "image2": "b.png", "text": "two dogs", "label": true }),
        json!({ "image": "a.png", "text": "a dog", "label": "Neutral", "id": "x" }),
    ];
    let bad = [
        (
            json!({ "image": "c.png", "caption": "no picture" }),
            "c.png is missing",
        ),
        (json!({ "image": "a.png" }), "caption"),
        (
            json!({ "image": "a.png", "caption": ["", "?"] }),
            "no words",
        ),
        (json!({ "image": "a.png", "caption": [] }), "no caption"),
        (json!({ "image": "a.png", "captoin": "x" }), "captoin"),
        (
            json!({ "image": "a.png", "caption": "x", "label": "blue" }),
            "blue",
        ),
        (
            json!({ "image": "a.png", "caption": "x", "label": true, "answer": "x" }),
            "both",
        ),
        (
            json!({ "image": "a.png", "caption": "x", "answers": [] }),
            "no answers",
        ),
        (
            json!({ "image": "a.png", "caption": "x", "width": 3 }),
            "width and height",
        ),
        (
            json!({ "image": "a.png", "caption": "x", "id": "3" }),
            "occurs twice",
        ),
        (json!({ "image": "a.png", "caption": long() }), "bytes"),
        (json!(7), "invalid type"),
    ];
    let records: Vec<Value> = good
        .iter()
        .cloned()
        .chain(bad.iter().map(|(record, _)| record.clone()))
        .collect();
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let options = || GenericOptions {
        images: Some(dir.path().join("pictures")),
        ..GenericOptions::default()
    };
    let mut names: Vec<(String, &str)> = vec![
        ("record 2, box 2".into(), "no area"),
        ("record 2, box 4".into(), "[x, y, width, height]"),
    ];
    names.extend(
        bad.iter()
            .enumerate()
            .map(|(at, (_, why))| (format!("record {}", at + 7), *why)),
    );
    let expected: Vec<(&str, &str)> = names
        .iter()
        .map(|(record, why)| (record.as_str(), *why))
        .collect();
    for text in [Value::from(records).to_string(), lines.join("\n")] {
        let source = generic(put(&dir, "own.json", text), options()).unwrap();
        faults(&source, &expected);
        assert_eq!(
            texts(&source),
            ["one", "two", "what?", "who?", "two dogs", "a dog"]
        );
        assert_eq!(source.labels().classes, ["dog", "cat"]);
        assert_eq!(source.labels().attributes, ["wet"]);
        let sample = source.load(1).unwrap();
        assert_eq!((sample.key, sample.captions.len()), (5, 2));
        let objects = sample.objects.unwrap();
        assert_eq!(
            (objects[0].class, &objects[0].attributes, objects[1].class),
            (0, &vec![0], 1)
        );
        assert_eq!(source.load(0).unwrap().objects, None);
        assert_eq!(
            source.label(2).unwrap(),
            Some(Label::Answers(vec!["dog".into(); 10]))
        );
        assert_eq!(source.consensus(3), Some("cat"));
        let two = source.load(4).unwrap();
        assert!(two.second.is_some() && two.label == Some(Label::Truth(true)));
        let last = source.load(5).unwrap();
        assert_eq!(last.label, Some(Label::Entailment(Entailment::Neutral)));
        assert_eq!(last.record.unwrap().id, "x");
        assert_eq!(source.key(0), source.key(5));
        let labels = Some(vlp_data::LabelSpace {
            classes: vec!["cat".into()],
            ..source.labels().clone()
        });
        let fixed = generic(
            dir.path().join("own.json"),
            GenericOptions {
                labels,
                ..options()
            },
        )
        .unwrap();
        assert_eq!(fixed.report().objects, 1);
        assert!(
            fixed
                .report()
                .faults
                .iter()
                .any(|f| f.reason.contains("unknown label \"dog\""))
        );
    }
    let nowhere = GenericOptions {
        images: Some("nowhere".into()),
        ..GenericOptions::default()
    };
    let error = generic(dir.path().join("own.json"), nowhere).err().unwrap();
    assert!(matches!(error, DataError::Missing { .. }), "{error}");
}

/// Pictures whose header cannot be read keep their place; loading them says why.
#[test]
fn broken_pictures_are_errors_when_they_are_loaded() {
    let dir = folder(&["a.png"]);
    put(&dir, "b.png", "not a picture");
    let lines = [
        json!({ "image": "a.png", "caption": "x" }),
        json!({ "image": "b.png", "caption": "y" }),
    ];
    let file = put(
        &dir,
        "own.jsonl",
        lines.map(|line| line.to_string()).join("\n"),
    );
    let source = generic(file, GenericOptions::default()).unwrap();
    assert_eq!(
        (source.size(0), source.size(1), source.size(2)),
        ((8, 6), (1, 1), (0, 0))
    );
    assert!(source.load(0).is_ok());
    assert!(
        source
            .load(1)
            .unwrap_err()
            .to_string()
            .contains("neither a JPEG nor a PNG")
    );
    assert!(source.load(2).is_err() && source.captions(2).is_err());
}

/// Sizes come from headers alone and are those of the upright picture.
#[test]
fn sizes_from_headers_equal_the_decoded() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut names: Vec<String> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let lines: Vec<String> = names
        .iter()
        .map(|name| json!({ "image": name, "caption": "x" }).to_string())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = put(&dir, "all.jsonl", lines.join("\n"));
    let options = GenericOptions {
        images: Some(data),
        ..GenericOptions::default()
    };
    let source = generic(file, options).unwrap();
    assert!(source.len() > 40);
    for (index, name) in names.iter().enumerate() {
        let picture = source.load(index).unwrap().picture;
        assert_eq!(
            source.size(index),
            (picture.width, picture.height),
            "{name}"
        );
    }
}

#[test]
fn coco_faults_keep_the_rest() {
    let dir = folder(&["images/a.png"]);
    fs::create_dir(dir.path().join("annotations")).unwrap();
    // NaN is Python's, not JSON's; and the lists stand in another order than they are needed in.
    let captions = r#"{"annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}, {"id": 2, "image_id": 1, "caption": 7}],
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}, {"id": "x"}]}"#;
    let instances = r#"{"annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [NaN, 0, 2, 2]}, {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 0, 2, 2]},
        {"id": 3, "image_id": 1, "category_id": 3, "bbox": [1, 0, Infinity, 2]}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 4}]}"#;
    put(&dir, "annotations/captions_x.json", captions);
    put(&dir, "annotations/instances_x.json", instances);
    let source = CocoSource::open(dir.path(), CocoOptions::default()).unwrap();
    let report = source.report();
    let records: Vec<&str> = report.faults.iter().map(|f| f.record.as_str()).collect();
    assert_eq!(
        records,
        [
            "image number 2",
            "caption number 2",
            "category number 2",
            "instance 1",
            "instance 3"
        ]
    );
    assert_eq!(
        (report.objects, report.empty_boxes, report.captions),
        (1, 2, 1)
    );
    assert!(
        report
            .to_string()
            .contains("5 wrong records left out, 2 boxes without area"),
        "{report}"
    );
    assert_eq!(source.coco_id(0), Some(1));
}

/// Where `VLP_DATA` names a folder of small real files: coco-mini, flickr8k, daquar_vqa, snli_ve and nlvr2 in their
/// official formats.
#[test]
fn real_files_are_read() {
    let Some(dir) = std::env::var_os("VLP_DATA") else {
        println!("skipped: VLP_DATA names no folder of real files");
        return;
    };
    let dir = Path::new(&dir);
    let flickr = dir.join("flickr8k");
    let flickr = |splits: &[KarpathySplit]| {
        karpathy(
            flickr.join("dataset_flickr30k.json"),
            flickr.join("images"),
            splits,
            &limits(),
        )
        .unwrap()
    };
    let daquar = VqaFiles::find(dir.join("daquar_vqa"), "train2014").unwrap();
    let snli = dir.join("snli_ve");
    let sources = [
        ("karpathy train", flickr(&[KarpathySplit::Train])),
        ("karpathy held out", flickr(&KarpathySplit::HELD_OUT)),
        ("vqa", vqa(&daquar, &limits()).unwrap()),
        (
            "snli_ve",
            snli_ve(
                snli.join("snli_ve_dev.jsonl"),
                snli.join("images"),
                &limits(),
            )
            .unwrap(),
        ),
    ];
    let pairs = dir.join("nlvr2");
    let pairs = nlvr2(pairs.join("dev.json"), &pairs, &limits());
    match &pairs {
        Ok(source) => println!("nlvr2: {}", source.report()),
        Err(error) => println!("nlvr2: {error}"),
    }
    for (what, source) in &sources {
        println!(
            "{what}: {}; {} bytes",
            source.report(),
            source.index_bytes()
        );
        assert!(!source.is_empty());
        for index in (0..source.len()).step_by(50) {
            let sample = source.load(index).unwrap();
            assert_eq!(
                source.size(index),
                (sample.picture.width, sample.picture.height)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever bytes change, reading ends in samples that hold what they promise, or in an error with the file's name.
    #[test]
    fn changed_bytes_never_panic(
        kind in 0usize..3,
        changes in prop::collection::vec((0.0f64..1.0, prop::sample::select(b"\"{}[]:,\\ -0e9nN\xff".to_vec())), 1..6),
    ) {
        let dir = folder(&["images/a.png", "images/9.png", "dev-1-0-img0.png", "dev-1-0-img1.png"]);
        fs::create_dir(dir.path().join("annotations")).unwrap();
        let image = json!({ "id": 1, "file_name": "a.png", "width": 8, "height": 6 });
        let texts = [
            json!({ "images": [image], "annotations": [{ "id": 1, "image_id": 1, "caption": "a" }, { "id": 2, "image_id": 1, "caption": "b" }] }).to_string(),
            json!([{ "image": "images/a.png", "caption": ["a", "b"], "boxes": [{ "bbox": [1, 2, 3, 4], "label": "x", "attributes": ["y"] }] },
                   { "image": "images/a.png", "question": "q", "answers": ["a", "b"] }]).to_string(),
            [0, 1].map(|n| json!({ "identifier": format!("dev-1-0-{n}"), "sentence": "s", "label": "True" }).to_string()).join("\n"),
        ];
        let mut bytes = texts[kind].clone().into_bytes();
        for (place, byte) in changes {
            let at = (place * bytes.len() as f64) as usize;
            bytes[at] = byte;
        }
        let path = dir.path().join(["annotations/captions_x.json", "own.json", "dev.json"][kind]);
        fs::write(&path, bytes).unwrap();
        let read: Result<Box<dyn Source>, DataError> = match kind {
            0 => CocoSource::open(dir.path(), CocoOptions::default()).map(|s| Box::new(s) as _),
            1 => generic(&path, GenericOptions::default()).map(|s| Box::new(s) as _),
            _ => nlvr2(&path, dir.path(), &limits()).map(|s| Box::new(s) as _),
        };
        match read {
            Ok(source) => for index in 0..source.len() {
                let captions = source.captions(index).unwrap();
                prop_assert!(!captions.is_empty() && captions.iter().all(|text| !text.trim().is_empty()));
                if let Ok(sample) = source.load(index) {
                    for object in sample.objects.into_iter().flatten() {
                        let [x0, y0, x1, y1] = object.bbox;
                        prop_assert!(0.0 <= x0 && x0 < x1 && x1 <= 8.0 && 0.0 <= y0 && y0 < y1 && y1 <= 6.0);
                        prop_assert!(object.class < source.labels().classes.len());
                    }
                }
            },
            Err(error) => prop_assert!(error.to_string().contains(".json"), "{}", error),
        }
    }
}
