//! Files of other tools: crowd flags, ids that two images have, hidden files, folders with several splits.

use std::fs;

use serde_json::{Value, json};
use vlp_data::{
    DataError, FileSource, Source,
    check::{CheckOptions, CheckReport, check},
    read::{
        CocoFiles, GenericOptions, KarpathySplit, SnliVeText, VqaFiles, coco, generic, karpathy,
        nlvr2, snli_ve, vqa,
    },
};

use crate::{assert_skipped, folder, limits, put, texts};

fn check_all(source: &FileSource) -> CheckReport {
    let options = CheckOptions::default().with_read_report(Some(source.report()));
    check(source, &options, &|_, _| {}).unwrap()
}

/// COCO files of a split with these images and instances; each image has a caption.
fn put_coco(
    dir: &tempfile::TempDir,
    split: &str,
    images: &[(u64, &str)],
    instances: Option<Value>,
) {
    let annotations = dir.path().join("annotations");
    fs::create_dir_all(&annotations).unwrap();
    let image =
        |(id, file): &(u64, &str)| json!({"id": id, "file_name": file, "width": 8, "height": 6});
    let caption =
        |(id, file): &(u64, &str)| json!({"image_id": id, "caption": format!("image {file}")});
    let captions = json!({
        "info": null,
        "images": images.iter().map(image).collect::<Vec<_>>(),
        "annotations": images.iter().map(caption).collect::<Vec<_>>(),
    });
    put(
        dir,
        &format!("annotations/captions_{split}.json"),
        captions.to_string(),
    );
    if let Some(instances) = instances {
        put(
            dir,
            &format!("annotations/instances_{split}.json"),
            instances.to_string(),
        );
    }
}

#[test]
fn crowd_flags_and_areas_of_other_tools_are_read() {
    let dir = folder(&["images/a.png"]);
    let flags = [
        (None, false),
        (Some(json!(null)), false),
        (Some(json!(false)), false),
        (Some(json!(true)), true),
        (Some(json!(0)), false),
        (Some(json!(1)), true),
        (Some(json!(0.0)), false),
        (Some(json!(1.0)), true),
    ];
    let areas = [None, Some(json!(null)), Some(json!(5.5))];
    let (mut instances, mut boxes, mut expected) = (vec![], vec![], vec![]);
    for (number, ((flag, crowd), area)) in flags.iter().zip(areas.iter().cycle()).enumerate() {
        let mut instance =
            json!({"id": number, "image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 3]});
        let mut labeled_box = json!({"bbox": [1, 1, 4, 3], "label": "dog", "attributes": null});
        if let Some(flag) = flag {
            instance["iscrowd"] = flag.clone();
            labeled_box["crowd"] = flag.clone();
        }
        if let Some(area) = area {
            instance["area"] = area.clone();
            labeled_box["area"] = area.clone();
        }
        instances.push(instance);
        boxes.push(labeled_box);
        expected.push((*crowd, if number % 3 == 2 { 5.5 } else { 12.0 }));
    }
    for (id, flag) in [(91, json!(2)), (92, json!("1")), (93, json!([]))] {
        instances.push(json!({"id": id, "image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 3], "iscrowd": flag}));
    }
    let instances = json!({"annotations": instances, "categories": [{"id": 7, "name": "dog"}]});
    put_coco(&dir, "x", &[(1, "a.png")], Some(instances));
    let source = coco(&CocoFiles::find(dir.path(), None).unwrap(), &limits()).unwrap();
    assert_skipped(
        &source,
        &[
            ("instance 91", "iscrowd (crowd) is 2; it must be 0 or 1"),
            ("instance 92", "must be 0 or 1"),
            ("instance 93", "must be 0 or 1"),
        ],
    );
    let crowds_and_areas = |source: &FileSource| -> Vec<(bool, f32)> {
        let objects = source.objects(0).unwrap().unwrap();
        objects
            .iter()
            .map(|object| (object.crowd, object.area))
            .collect()
    };
    assert_eq!(crowds_and_areas(&source), expected);
    let record = json!([{"image": "images/a.png", "caption": "a dog", "boxes": boxes}]);
    let source = generic(
        put(&dir, "own.json", record.to_string()),
        GenericOptions::default(),
    )
    .unwrap();
    assert_skipped(&source, &[]);
    assert_eq!(crowds_and_areas(&source), expected);
}

#[test]
fn second_image_of_an_id_is_skipped_and_both_are_named() {
    let dir = folder(&[
        "a/1.png",
        "b/1.png",
        "c.png",
        "images/1.png",
        "images/2.png",
        "val/1.jpg",
    ]);
    let lines = [
        json!({"image": "a/1.png", "image_id": 1, "caption": "one"}),
        json!({"image": "b/1.png", "image_id": 1, "caption": "two"}),
        json!({"image": "./a/1.png", "image_id": 1, "caption": "three"}),
        json!({"image": "a/1.png", "caption": "four"}),
        json!({"image": "a/1.png", "image_id": 2, "caption": "five"}),
        json!({"image": "c.png", "width": 8, "height": 6, "coco_id": 3, "caption": "six"}),
        json!({"image": "c.png", "width": 6, "height": 8, "caption": "seven"}),
        json!({"image": "c.png", "coco_id": 4, "caption": "eight"}),
        json!({"image": "c.png", "image2": "a/1.png", "caption": "nine"}),
        json!({"image": "a/1.png", "width": 8, "height": 6, "caption": "ten"}),
    ];
    let file = put(
        &dir,
        "own.jsonl",
        lines.map(|line| line.to_string()).join("\n"),
    );
    let source = generic(&file, GenericOptions::default()).unwrap();
    assert_eq!(texts(&source), ["one", "three", "four", "six", "nine"]);
    assert_skipped(
        &source,
        &[
            (
                "record 2",
                "b/1.png has image_id 1, which is already that of a/1.png in record 1",
            ),
            ("record 5", "a/1.png has image_id 2, but 1 in record 1"),
            ("record 7", "c.png is 6x8, but 8x6 in record 6"),
            ("record 8", "coco_id 4, but 3"),
            (
                "record 10",
                "a/1.png is 8x6, but record 1 has no width and height",
            ),
        ],
    );
    assert!(!check_all(&source).is_clean());

    put_coco(&dir, "x", &[(1, "1.png"), (1, "2.png")], None);
    let source = coco(&CocoFiles::find(dir.path(), None).unwrap(), &limits()).unwrap();
    assert_skipped(
        &source,
        &[("image 1", "its id occurs twice, first of 1.png: 2.png")],
    );
    // An instances file of other images with the same ids.
    let instance =
        |id: u64| json!({"id": id, "image_id": id, "category_id": 7, "bbox": [1, 1, 4, 3]});
    let instances = json!({
        "images": [{"id": 1, "file_name": "2.png"}, {"id": 2, "file_name": "x/2.png"}],
        "categories": [{"id": 7, "name": "dog"}],
        "annotations": [instance(1), instance(2)],
    });
    put_coco(&dir, "x", &[(1, "1.png"), (2, "2.png")], Some(instances));
    let source = coco(&CocoFiles::find(dir.path(), None).unwrap(), &limits()).unwrap();
    assert_skipped(&source, &[("image 1", "its file_name is 2.png, but 1.png")]);
    let box_counts = [0, 1].map(|index| source.objects(index).unwrap().unwrap().len());
    assert_eq!(box_counts, [0, 1]);

    let image = |folder: &str, id: Option<u64>| json!({"filepath": folder, "filename": "1.png", "cocoid": id, "split": "train", "sentences": [{"raw": folder}]});
    for id in [Some(9), None] {
        let images = json!({"images": [image("a", id), image("b", id), image("a", id)]});
        let file = put(&dir, "dataset_coco.json", images.to_string());
        let source = karpathy(file, dir.path(), &[KarpathySplit::Train], &limits()).unwrap();
        assert_eq!(texts(&source), ["a"]);
        let report = source.report();
        let reason = &report.skipped_records[0].reason;
        assert!(
            reason.contains("b/1.png") && reason.contains("a/1.png"),
            "{reason}"
        );
        assert_eq!(
            (report.skipped, report.skipped_records[1].reason.as_str()),
            (2, "it occurs twice")
        );
    }

    let line = |image: &str, id: &str| {
        json!({"Flickr30K_ID": image, "sentence2": image, "gold_label": "neutral", "pairID": id})
            .to_string()
    };
    let lines = [
        line("val/1", "p"),
        line("test/1", "q"),
        line("val/1.jpg", "r"),
    ];
    let file = put(&dir, "snli_ve_dev.jsonl", lines.join("\n"));
    let source = snli_ve(file, dir.path(), SnliVeText::Hypothesis, &limits()).unwrap();
    assert_skipped(
        &source,
        &[(
            "line 2",
            "test/1.jpg and val/1.jpg have the same image name",
        )],
    );
    assert_eq!(source.len(), 2);
}

#[test]
fn check_decodes_every_file_of_pairs_with_the_same_left_image() {
    let dir = folder(&["a.png", "b.png"]);
    put(&dir, "c.png", "not an image");
    let lines = ["b.png", "c.png", "c.png"].map(|right| {
        json!({"image": "a.png", "image2": right, "caption": "same", "label": true}).to_string()
    });
    let source = generic(
        put(&dir, "own.jsonl", lines.join("\n")),
        GenericOptions::default(),
    )
    .unwrap();
    let report = check_all(&source);
    assert_eq!(report.images, 1);
    assert_eq!(report.issue_count(), 1, "{report}");
    assert!(report.issues[0].file.ends_with("c.png"), "{report}");
}

#[test]
fn hidden_files_are_no_images() {
    let dir = folder(&["val/COCO_val_000000000009.png", "val/7.png", "val/7.jpg"]);
    for name in [
        "val/._COCO_val_000000000009.png",
        "val/.9.png",
        "val/.DS_Store",
        "val/Thumbs.db",
    ] {
        put(&dir, name, "Mac OS X");
    }
    let questions =
        [9, 7].map(|id| json!({"question_id": id, "image_id": id, "question": "What?"}));
    put(
        &dir,
        "v2_OpenEnded_mscoco_val_questions.json",
        json!({"questions": questions}).to_string(),
    );
    put(&dir, "._v2_OpenEnded_mscoco_val_questions.json", "Mac OS X");
    assert_eq!(VqaFiles::splits(dir.path()).unwrap(), ["val"]);
    let source = vqa(&VqaFiles::find(dir.path(), "val").unwrap(), &limits()).unwrap();
    assert_skipped(
        &source,
        &[("question 7", "its image may be 7.jpg or 7.png")],
    );
    assert_eq!(source.size(0), (8, 6));
    assert_eq!(source.load(0).unwrap().name, "COCO_val_000000000009.png");
}

#[test]
fn each_split_of_a_coco_folder_is_read() {
    let dir = folder(&[
        "train/1.png",
        "val/2.png",
        "elsewhere/val/3.png",
        "elsewhere/4.png",
    ]);
    put_coco(&dir, "train", &[(1, "1.png")], None);
    put_coco(
        &dir,
        "val",
        &[(2, "2.png"), (3, "3.png"), (4, "4.png")],
        None,
    );
    put(&dir, "annotations/._captions_train.json", "Mac OS X");
    assert_eq!(CocoFiles::splits(dir.path()).unwrap(), ["train", "val"]);
    let find = |split| CocoFiles::find(dir.path(), split);
    let error = find(None).unwrap_err().to_string();
    assert!(error.contains("train, val"), "{error}");
    let error = find(Some("test")).unwrap_err().to_string();
    assert!(
        error.contains("captions_test.json") && error.contains("train, val"),
        "{error}"
    );
    let source = coco(&find(Some("train")).unwrap(), &limits()).unwrap();
    assert_eq!(texts(&source), ["image 1.png"]);
    let source = coco(&find(Some("val")).unwrap(), &limits()).unwrap();
    assert_skipped(
        &source,
        &[("image 3", "is missing"), ("image 4", "is missing")],
    );
    // Images in another folder, too.
    let elsewhere = dir.path().join("elsewhere");
    let files = CocoFiles::find_with_images(dir.path(), Some("val"), Some(&elsewhere)).unwrap();
    let source = coco(&files, &limits()).unwrap();
    assert_skipped(&source, &[]);
    assert_eq!(source.len(), 3);
    let missing = CocoFiles::find_with_images(dir.path(), Some("val"), Some("nowhere".as_ref()));
    let error = coco(&missing.unwrap(), &limits()).unwrap_err();
    assert!(
        matches!(&error, DataError::Missing { path, .. } if path.ends_with("nowhere")),
        "{error}"
    );
}

#[test]
fn pairs_of_nlvr2_are_decoded_once() {
    let dir = folder(&["dev-1-0-img0.png", "dev-1-0-img1.png"]);
    let lines = [0, 1].map(|n| {
        json!({"identifier": format!("dev-1-0-{n}"), "sentence": "same", "label": "True"})
            .to_string()
    });
    let source = nlvr2(
        put(&dir, "dev.json", lines.join("\n")),
        dir.path(),
        &limits(),
    )
    .unwrap();
    let keys = [0, 1].map(|index| source.file_key(index));
    assert_eq!(keys[0], keys[1]);
}

/// Of two records with one id the first valid one is read, also if another comes before it.
#[test]
fn the_id_of_a_skipped_record_is_free() {
    let dir = folder(&["a-img0.png", "a-img1.png", "a.jpg"]);
    let lines = |records: [Value; 3]| records.map(|record| record.to_string()).join("\n");
    let record = |image: &str| json!({"image": image, "caption": "words", "id": 7});
    let records = lines([
        record("none.png"),
        record("a-img0.png"),
        record("a-img1.png"),
    ]);
    let records = generic(put(&dir, "own.jsonl", records), GenericOptions::default()).unwrap();
    assert_skipped(
        &records,
        &[("record 1", "missing"), ("record 3", "occurs twice")],
    );
    let statement = |text: &str| json!({"identifier": "a-0", "sentence": text});
    let statements = lines([statement("?"), statement("one"), statement("two")]);
    let statements = nlvr2(put(&dir, "dev.json", statements), dir.path(), &limits()).unwrap();
    assert_skipped(
        &statements,
        &[("line 1", "no words"), ("line 3", "occurs twice")],
    );
    let hypothesis = |image: &str| json!({"Flickr30K_ID": image, "sentence2": "words", "gold_label": "neutral", "pairID": "p"});
    let hypotheses = lines([hypothesis("none"), hypothesis("a"), hypothesis("a")]);
    let file = put(&dir, "snli_ve_dev.jsonl", hypotheses);
    let hypotheses = snli_ve(file, dir.path(), SnliVeText::Hypothesis, &limits()).unwrap();
    assert_skipped(
        &hypotheses,
        &[("line 1", "missing"), ("line 3", "occurs twice")],
    );
}
