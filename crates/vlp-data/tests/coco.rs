//! The COCO reader: what generated scenes are written as, files with every kind of wrong record, and real files where
//! the variable VLP_COCO names their folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use vlp_data::{
    CocoSource, DataError, Picture, Scenes, ScenesConfig, Source, Split, Subset, coco::CocoOptions,
    split_by_key,
};

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn scenes_survive_being_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let config = ScenesConfig {
        split: Split::Val,
        count: 40,
        ..ScenesConfig::default()
    };
    let scenes = Scenes::new(config).unwrap();
    scenes.write_to(dir.path()).unwrap();
    let read = CocoSource::open(dir.path(), CocoOptions::default()).unwrap();
    assert_eq!(read.report().faults, []);
    assert_eq!((read.len(), read.report().captions), (40, 200));
    assert_eq!(read.labels().classes, scenes.labels().classes);
    assert_eq!(read.labels().attributes, scenes.labels().attributes);
    assert_eq!(read.category_id(0), Some(1));
    for index in 0..40 {
        let (written, got) = (scenes.load(index).unwrap(), read.load(index).unwrap());
        assert_eq!(
            (got.key, &got.picture, &got.captions),
            (written.key, &written.picture, &written.captions)
        );
        assert_eq!(read.size(index), (64, 64));
        let (written, got) = (written.objects.unwrap(), got.objects.unwrap());
        assert_eq!(written.len(), got.len());
        for (written, got) in written.iter().zip(&got) {
            assert_eq!(
                (written.class, &written.attributes),
                (got.class, &got.attributes)
            );
            for (a, b) in written.bbox.iter().zip(got.bbox) {
                // x + width in double precision and back to single: a rounding.
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}

#[test]
fn the_other_files_have_the_official_fields() {
    let dir = tempfile::tempdir().unwrap();
    for split in [Split::Train, Split::Test] {
        let config = ScenesConfig {
            split,
            count: 24,
            resolution: 32,
            ..ScenesConfig::default()
        };
        Scenes::new(config).unwrap().write_to(dir.path()).unwrap();
    }
    let vqa = dir.path().join("vqa");
    let questions = read(&vqa.join("v2_OpenEnded_mscoco_train_questions.json"));
    let annotations = read(&vqa.join("v2_mscoco_train_annotations.json"));
    let (questions, annotations) = (
        questions["questions"].as_array().unwrap(),
        annotations["annotations"].as_array().unwrap(),
    );
    assert_eq!(questions.len(), annotations.len());
    assert!(questions.len() >= 24 * 3);
    for (question, annotation) in questions.iter().zip(annotations) {
        assert_eq!(question["question_id"], annotation["question_id"]);
        assert_eq!(annotation["answers"].as_array().unwrap().len(), 10);
        assert!(
            ["yes/no", "number", "other"].contains(&annotation["answer_type"].as_str().unwrap())
        );
        assert_eq!(annotation["answers"][9]["answer_id"], 10);
    }

    for (split, folder) in [("train", "train/0"), ("test1", "test1")] {
        let lines = fs::read_to_string(dir.path().join(format!("nlvr2/{split}.json"))).unwrap();
        let mut truths = 0;
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let identifier = line["identifier"].as_str().unwrap();
            let pair = identifier.strip_suffix("-0").unwrap();
            assert_eq!(identifier.split('-').count(), 4);
            truths += i32::from(line["label"] == "True") * 2 - 1;
            for number in 0..2 {
                let path = dir
                    .path()
                    .join(format!("nlvr2/images/{folder}/{pair}-img{number}.png"));
                assert!(path.is_file(), "{}", path.display());
            }
        }
        assert_eq!(truths, 0, "as many true as false");
    }

    let lines = fs::read_to_string(dir.path().join("snli_ve/snli_ve_test.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 72);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let picture = format!(
            "snli_ve/flickr30k_images/{}.jpg",
            line["Flickr30K_ID"].as_str().unwrap()
        );
        let bytes = fs::read(dir.path().join(&picture)).unwrap();
        let picture =
            vlp_data::decode_picture(&bytes, &picture, &vlp_data::Limits::default()).unwrap();
        assert_eq!((picture.width, picture.height), (32, 32));
        assert_eq!(line["annotator_labels"].as_array().unwrap().len(), 5);
    }
}

/// A folder with one 8 x 6 picture `a.png`, and the given records.
fn folder(images: Value, captions: Value, instances: Option<Value>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("annotations")).unwrap();
    fs::create_dir_all(dir.path().join("images")).unwrap();
    let picture = Picture::filled(8, 6, [9, 99, 199]);
    let image = image::RgbImage::from_raw(8, 6, picture.rgb).unwrap();
    for name in ["a.png", "b.png"] {
        image.save(dir.path().join("images").join(name)).unwrap();
    }
    let put = |name: &str, value: Value| {
        fs::write(dir.path().join("annotations").join(name), value.to_string()).unwrap();
    };
    put(
        "captions_small.json",
        json!({ "images": images, "annotations": captions }),
    );
    if let Some(instances) = instances {
        put("instances_small.json", instances);
    }
    dir
}

fn image(id: u64, file: &str) -> Value {
    json!({ "id": id, "file_name": file, "width": 8, "height": 6 })
}

#[test]
fn wrong_records_are_left_out_and_listed() {
    let images = json!([
        image(1, "a.png"), image(2, "missing.png"), image(1, "b.png"), image(3, "b.png"),
        { "id": 4, "file_name": "b.png", "width": 0, "height": 6 }, { "file_name": "b.png" }, image(5, "b.png"),
    ]);
    let captions = json!([
        { "id": 1, "image_id": 1, "caption": " a thing \n" }, { "id": 2, "image_id": 1, "caption": "  " },
        { "id": 1, "image_id": 1, "caption": "again" }, { "id": 3, "image_id": 77, "caption": "no image" },
        { "id": 4, "image_id": 2, "caption": "of the missing one" }, { "id": 5, "image_id": 3 },
        { "id": 6, "image_id": 5, "caption": "another" },
    ]);
    let boxed = |id: u64, image: u64, category: u64, bbox: Value| json!({ "id": id, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0 });
    let instances = json!({
        "images": images,
        "categories": [{ "id": 7, "name": "dog" }, { "id": 90, "name": "cat" }, { "id": 7, "name": "dog again" }],
        "annotations": [
            boxed(1, 1, 90, json!([1, 1, 3, 2])), boxed(2, 1, 7, json!([-2, 4, 30, 30])),
            boxed(3, 1, 7, json!([2, 2, 0, 3])), boxed(4, 1, 7, json!([20, 20, 3, 3])),
            boxed(5, 1, 8, json!([1, 1, 2, 2])), boxed(6, 77, 7, json!([1, 1, 2, 2])),
            boxed(7, 2, 7, json!([1, 1, 2, 2])), boxed(1, 1, 7, json!([1, 1, 2, 2])),
            { "id": 8, "image_id": 1, "category_id": 7, "bbox": [1, 2] },
            { "id": 9, "image_id": 1, "category_id": 7, "bbox": [0, 0, 8, 6], "area": 12.5, "iscrowd": 1 },
        ],
    });
    let dir = folder(images, captions, Some(instances));
    let source = CocoSource::open(dir.path(), CocoOptions::default()).unwrap();
    let report = source.report();
    assert_eq!((report.samples, report.captions, report.objects), (2, 2, 3));
    assert_eq!(
        (
            report.empty_captions,
            report.clipped_boxes,
            report.empty_boxes
        ),
        (1, 1, 2)
    );
    assert_eq!(report.boxes_elsewhere, 1);
    let faults: Vec<(&str, &str)> = report
        .faults
        .iter()
        .map(|f| (f.record.as_str(), f.reason.split('/').next().unwrap()))
        .collect();
    let listed = |record: &str, reason: &str| {
        assert!(
            faults
                .iter()
                .any(|(r, why)| *r == record && why.contains(reason)),
            "{record}: {faults:#?}"
        );
    };
    assert!(
        report
            .faults
            .iter()
            .any(|f| f.record == "image 2" && f.reason.ends_with("missing.png is missing"))
    );
    listed("image 1", "twice");
    listed("image 3", "no caption");
    listed("image 4", "size is 0x6");
    listed("image without id", "lacks");
    listed("caption 1", "twice");
    listed("caption 3", "no image 77");
    listed("caption 5", "lacks");
    listed("category 7", "twice");
    listed("instance 5", "unknown category 8");
    listed("instance 6", "no image 77");
    listed("instance 1", "twice");
    listed("instance 8", "bbox");
    listed("caption 2", "no words");
    listed("instance 3", "no area");
    listed("instance 4", "no area");
    assert_eq!((faults.len(), report.left_out), (16, 16), "{faults:#?}");
    assert!(
        report
            .faults
            .iter()
            .all(|f| f.file.contains("small.json") && !f.source.is_empty())
    );

    assert_eq!(source.labels().classes, ["dog", "cat"]);
    assert_eq!(
        (
            source.category_id(0),
            source.category_id(1),
            source.category_id(2)
        ),
        (Some(7), Some(90), None)
    );
    let sample = source.load(0).unwrap();
    assert_eq!(sample.captions, ["a thing"]);
    let objects = sample.objects.unwrap();
    assert_eq!(
        (objects[0].class, objects[0].bbox, objects[0].area),
        (1, [1.0, 1.0, 4.0, 3.0], 6.0)
    );
    assert_eq!(
        (objects[1].class, objects[1].bbox),
        (0, [0.0, 4.0, 8.0, 6.0])
    );
    assert!(objects[2].crowd && objects[2].area == 12.5);
    assert_eq!(source.load(1).unwrap().objects, Some(vec![]));
}

#[test]
fn boxes_may_be_missing_altogether() {
    let dir = folder(
        json!([image(1, "a.png")]),
        json!([{ "id": 1, "image_id": 1, "caption": "x" }]),
        None,
    );
    let source = CocoSource::open(dir.path(), CocoOptions::default()).unwrap();
    assert_eq!(source.load(0).unwrap().objects, None);
    assert!(source.labels().classes.is_empty());
    assert!(matches!(
        source.load(1),
        Err(DataError::Index {
            index: 1,
            len: 1,
            ..
        })
    ));
}

#[test]
fn a_picture_of_another_size_than_annotated_is_refused() {
    let images = json!([{ "id": 1, "file_name": "a.png", "width": 80, "height": 60 }]);
    let dir = folder(
        images,
        json!([{ "id": 1, "image_id": 1, "caption": "x" }]),
        None,
    );
    let error = CocoSource::open(dir.path(), CocoOptions::default())
        .unwrap()
        .load(0)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is 8x6, its annotation says 80x60"),
        "{error}"
    );
}

/// EXIF turns the fixture from 24 x 16 to 16 x 24; boxes may be annotated for either.
#[test]
fn turned_pictures_follow_their_annotation() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exif6.jpg");
    for (width, height) in [(24, 16), (16, 24)] {
        let images = json!([{ "id": 1, "file_name": "t.jpg", "width": width, "height": height }]);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("annotations")).unwrap();
        fs::create_dir_all(dir.path().join("images")).unwrap();
        fs::copy(&fixture, dir.path().join("images/t.jpg")).unwrap();
        let file = json!({ "images": images, "annotations": [{ "id": 1, "image_id": 1, "caption": "x" }] });
        fs::write(
            dir.path().join("annotations/captions_x.json"),
            file.to_string(),
        )
        .unwrap();
        let picture = CocoSource::open(dir.path(), CocoOptions::default())
            .unwrap()
            .load(0)
            .unwrap()
            .picture;
        assert_eq!((picture.width, picture.height), (width, height));
    }
}

#[test]
fn missing_and_broken_files_are_named() {
    let said = |dir: &Path, split: Option<&str>| {
        let options = CocoOptions {
            split: split.map(str::to_owned),
            ..CocoOptions::default()
        };
        CocoSource::open(dir, options).err().unwrap().to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    assert!(said(dir.path(), None).contains("annotations"));
    let annotations = dir.path().join("annotations");
    fs::create_dir(&annotations).unwrap();
    assert!(said(dir.path(), None).contains("no captions_SPLIT.json"));
    fs::write(
        annotations.join("captions_b.json"),
        "{\"images\": [], \"annotations\": 3}",
    )
    .unwrap();
    assert!(said(dir.path(), None).contains("no folder of pictures"));
    fs::create_dir(dir.path().join("b")).unwrap();
    let broken = said(dir.path(), None);
    assert!(
        broken.contains("captions_b.json") && broken.contains("line 1"),
        "{broken}"
    );
    fs::write(annotations.join("captions_a.json"), "{}").unwrap();
    assert!(said(dir.path(), None).ends_with("several splits, say which: a, b"));
    assert!(said(dir.path(), Some("c")).contains("captions_c.json"));
}

#[test]
fn a_split_by_key_is_stable() {
    let scenes = |count| -> Arc<dyn Source> {
        Arc::new(
            Scenes::new(ScenesConfig {
                count,
                ..ScenesConfig::default()
            })
            .unwrap(),
        )
    };
    let (few, many) = (scenes(500), scenes(1000));
    let (held, rest) = split_by_key(&few, 0.2, 3).unwrap();
    assert_eq!(held.len() + rest.len(), 500);
    // Five standard deviations of 500 draws of chance 0.2 are 45.
    assert!((55..=145).contains(&held.len()), "{}", held.len());
    let (more, _) = split_by_key(&many, 0.2, 3).unwrap();
    assert_eq!(
        more.indices()[..held.len()],
        *held.indices(),
        "images stay on their side"
    );
    let (other, _) = split_by_key(&few, 0.2, 4).unwrap();
    assert_ne!(other.indices(), held.indices());
    assert_eq!(held.load(0).unwrap(), few.load(held.indices()[0]).unwrap());
    assert_eq!(held.key(0), few.key(held.indices()[0]));
    // The same image under two numbers stays together.
    let doubled: Arc<dyn Source> =
        Arc::new(Subset::new(few.clone(), (0..500).chain(0..500).collect(), "doubled").unwrap());
    let (held, rest) = split_by_key(&doubled, 0.2, 3).unwrap();
    let keys: std::collections::HashSet<u64> = (0..held.len()).map(|i| held.key(i)).collect();
    assert!((0..rest.len()).all(|i| !keys.contains(&rest.key(i))));
    assert!(split_by_key(&few, 1.5, 3).is_err());
    assert!(Subset::new(few, vec![500], "outside").is_err());
}

#[test]
fn real_files_are_read() {
    let Some(dir) = std::env::var_os("VLP_COCO") else {
        println!("skipped: VLP_COCO names no folder of COCO files");
        return;
    };
    let source = CocoSource::open(&dir, CocoOptions::default()).unwrap();
    let report = source.report();
    println!("{report:?}");
    assert!(source.len() > 0 && report.faults.is_empty());
    for index in 0..source.len().min(100) {
        let sample = source.load(index).unwrap();
        assert!(!sample.captions.is_empty());
        let (width, height) = (sample.picture.width as f32, sample.picture.height as f32);
        for object in sample.objects.unwrap_or_default() {
            let [x0, y0, x1, y1] = object.bbox;
            assert!(0.0 <= x0 && x0 < x1 && x1 <= width && 0.0 <= y0 && y0 < y1 && y1 <= height);
        }
    }
}
