//! Karpathy's splits and the generic format.

use serde_json::{Value, json};
use vlp_data::{
    DataError, Entailment, Label, Source,
    read::{GenericOptions, KarpathySplit, generic, karpathy, name_key},
};

use crate::{assert_skipped, folder, limits, long_text, put, texts};

#[test]
fn karpathy_files_are_read() {
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
        image("x.png", "train2014", 4, "train", &["no image"]),
        image("d.png", "val2014", 5, "train", &[]),
        image("d.png", "val2014", 6, "everything", &["odd split"]),
    ]});
    let path = put(&dir, "dataset_coco.json", file.to_string());
    let source = karpathy(&path, dir.path(), &KarpathySplit::TRAINING, &limits()).unwrap();
    assert_eq!(texts(&source), ["one", "three"]);
    assert_eq!(source.captions(0).unwrap(), ["one", "two"]);
    assert_skipped(
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
        let source = karpathy(path, dir.path(), &KarpathySplit::EVALUATION, &limits());
        source.err().unwrap().to_string()
    };
    assert!(error("{\"images\": {}}").contains("\"images\" is not a list"));
    assert!(error("{\"images\": [").contains("is it truncated?"));
    assert!(error("[]").contains("it must be an object with \"images\""));
    let all_invalid = error("{\"images\": [{\"split\": \"val\"}]}");
    assert!(
        all_invalid
            .contains("all 1 records are invalid; the first: image number 1: it lacks filename"),
        "{all_invalid}"
    );
}

#[test]
fn generic_files_are_read_as_list_and_as_lines() {
    let dir = folder(&["images/a.png", "images/b.png"]);
    let valid = [
        json!({ "image": "a.png", "caption": "one" }),
        json!({ "image": "b.png", "captions": ["two", "three"], "image_id": 5, "width": 8, "height": 6,
            "boxes": [{ "bbox": [1, 1, 3, 2], "label": "dog", "attributes": ["wet"] }, { "bbox": [1, 1, 0, 2], "label": "dog" },
                      { "bbox": [0, 0, 8, 6], "label": "cat" }, { "bbox": [1], "label": "cat" }] }),
        json!({ "image": "a.png", "question": "what?", "answer": "dog", "id": 3, "answer_type": "other" }),
        json!({ "image": "a.png", "question": "who?", "answers": ["dog", "cat", "cat"] }),
        json!({ "image": "a.png", "image2": "b.png", "text": "two dogs", "label": true }),
        json!({ "image": "a.png", "text": "a dog", "label": "Neutral", "id": "x" }),
    ];
    let invalid = [
        (
            json!({ "image": "c.png", "caption": "no image" }),
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
        (json!({ "image": "a.png", "caption": long_text() }), "bytes"),
        (json!(7), "invalid type"),
        (
            json!({ "image": "a.png", "caption": "x", "boxes": [{ "bbox": [0, 0, 4, 4], "label": "dog", "atributes": ["wet"] }] }),
            "unknown field `atributes`",
        ),
        (
            json!({ "image": "a.png", "caption": ["x", 7] }),
            "must be a text or a list of texts, at its byte",
        ),
        (
            json!({ "image": "a.png", "caption": "x", "label": 1 }),
            "label must be true, false, \"entailment\"",
        ),
        (
            json!({ "image": "a.png", "caption": "x", "id": 1.5 }),
            "id must be a whole number from 0 on, or a text",
        ),
    ];
    let records: Vec<Value> = valid
        .iter()
        .cloned()
        .chain(invalid.iter().map(|(record, _)| record.clone()))
        .collect();
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let options = || GenericOptions::default().with_images(Some(dir.path().join("images")));
    let mut names: Vec<(String, &str)> = vec![
        ("record 2, box 2".into(), "no area"),
        ("record 2, box 4".into(), "[x, y, width, height]"),
    ];
    names.extend(
        invalid
            .iter()
            .enumerate()
            .map(|(index, (_, reason))| (format!("record {}", index + 7), *reason)),
    );
    let expected: Vec<(&str, &str)> = names
        .iter()
        .map(|(record, reason)| (record.as_str(), *reason))
        .collect();
    for text in [Value::from(records).to_string(), lines.join("\n")] {
        let source = generic(put(&dir, "own.json", text), options()).unwrap();
        assert_skipped(&source, &expected);
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
        assert!(two.second_image.is_some() && two.label == Some(Label::Truth(true)));
        let last = source.load(5).unwrap();
        assert_eq!(last.label, Some(Label::Entailment(Entailment::Neutral)));
        assert_eq!(last.record.unwrap().id, "x");
        assert_eq!(source.key(0), source.key(5));
        let labels = Some(vlp_data::LabelSpace {
            classes: vec!["cat".into()],
            ..source.labels().clone()
        });
        let fixed = generic(dir.path().join("own.json"), options().with_labels(labels)).unwrap();
        assert_eq!(fixed.report().objects, 1);
        assert!(
            fixed
                .report()
                .skipped_records
                .iter()
                .any(|f| f.reason.contains("unknown label \"dog\""))
        );
    }
    let nowhere = GenericOptions::default().with_images(Some("nowhere".into()));
    let error = generic(dir.path().join("own.json"), nowhere).err().unwrap();
    assert!(matches!(error, DataError::Missing { .. }), "{error}");
}
