//! Damaged images, malformed JSON, mutated bytes and real files.

use std::{fs, path::Path};

use proptest::prelude::*;
use serde_json::json;
use vlp_data::{
    DataError, Source,
    read::{
        CocoFiles, GenericOptions, KarpathySplit, SnliVeText, VqaFiles, coco, generic, karpathy,
        nlvr2, snli_ve, vqa,
    },
};

use crate::{assert_skipped, folder, limits, put};

/// An image with an unreadable header is a sample; loading it is an error.
#[test]
fn damaged_images_are_errors_when_they_are_loaded() {
    let dir = folder(&["a.png"]);
    put(&dir, "b.png", "not an image");
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
            .contains("not a JPEG, PNG, WebP, GIF, BMP or ICO file")
    );
    assert!(source.load(2).is_err() && source.captions(2).is_err());
}

/// A file that cannot be read may be read later.
#[test]
fn a_size_that_could_not_be_read_is_read_again() {
    let dir = folder(&["a.png"]);
    let file = put(&dir, "own.jsonl", r#"{"image": "a.png", "caption": "x"}"#);
    let source = generic(file, GenericOptions::default()).unwrap();
    let (image, elsewhere) = (dir.path().join("a.png"), dir.path().join("b.png"));
    fs::rename(&image, &elsewhere).unwrap();
    assert_eq!(source.size(0), (1, 1));
    fs::rename(&elsewhere, &image).unwrap();
    assert_eq!(source.size(0), (8, 6));
}

/// A box cannot be clipped to an image of unknown size.
#[test]
fn boxes_of_an_unreadable_image_are_named_with_what_is_wrong_with_it() {
    let dir = folder(&[]);
    put(&dir, "a.png", "not an image");
    let labeled_box = json!({ "bbox": [0, 0, 4, 4], "label": "dog" });
    let record = json!({ "image": "a.png", "caption": "x", "boxes": [labeled_box, labeled_box] });
    let file = put(&dir, "own.jsonl", record.to_string());
    let source = generic(file, GenericOptions::default()).unwrap();
    let reason = "a.png: not a JPEG, PNG, WebP, GIF, BMP or ICO file";
    assert_skipped(
        &source,
        &[("record 1, box 1", reason), ("record 1, box 2", reason)],
    );
    assert_eq!(source.objects(0).unwrap(), Some(vec![]));
}

/// It has holes in place of pixels.
#[test]
fn a_huge_image_file_is_refused_before_it_is_read() {
    let dir = folder(&["a.png"]);
    let image = fs::File::options()
        .write(true)
        .open(dir.path().join("a.png"));
    image.unwrap().set_len((1 << 30) + 1).unwrap();
    let file = put(&dir, "own.jsonl", r#"{"image": "a.png", "caption": "x"}"#);
    let source = generic(file, GenericOptions::default()).unwrap();
    for error in [
        source.load(0).unwrap_err(),
        source.encoded_image(0).unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(
            message.ends_with("1073741825 bytes, more than 1073741824"),
            "{message}"
        );
    }
}

/// A record may name a device, which has no end.
#[cfg(unix)]
#[test]
fn images_that_are_no_files_are_errors() {
    let dir = folder(&["a.png"]);
    std::os::unix::fs::symlink("/dev/null", dir.path().join("b.png")).unwrap();
    let record = json!({ "image": "b.png", "caption": "x" });
    let file = put(&dir, "own.jsonl", record.to_string());
    let source = generic(file, GenericOptions::default()).unwrap();
    assert_eq!(source.size(0), (1, 1));
    for error in [
        source.load(0).unwrap_err(),
        source.encoded_image(0).unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(message.ends_with("b.png: not a regular file"), "{message}");
    }
}

/// Time and memory grow with the length of a record, not with its square.
#[test]
fn records_with_many_parts_are_read_or_named() {
    const MANY: usize = 150_000;
    let dir = folder(&["a.png"]);
    let names: Vec<String> = (0..MANY).map(|number| format!("n{number}")).collect();
    let labeled_box =
        json!({ "bbox": [0, 0, 4, 4], "label": "dog", "attributes": vec!["wet"; MANY] });
    let records = [
        json!({ "image": "a.png", "caption": "x", "answers": names }),
        json!({ "image": "a.png", "caption": "y", "boxes": [labeled_box] }),
    ];
    let file = put(
        &dir,
        "own.jsonl",
        records.map(|record| record.to_string()).join("\n"),
    );
    let source = generic(file, GenericOptions::default()).unwrap();
    assert_eq!((source.len(), source.consensus(0)), (2, Some("n0")));
    assert_skipped(
        &source,
        &[(
            "record 2, box 1",
            "it has 150000 attributes, more than 65535",
        )],
    );

    let category = |(id, name): (usize, &String)| json!({ "id": id, "name": name });
    let categories: Vec<_> = names.iter().enumerate().map(category).collect();
    let captions = json!({ "images": [{ "id": 1, "file_name": "a.png", "width": 8, "height": 6 }], "annotations": [{ "id": 1, "image_id": 1, "caption": "a dog" }] });
    let instances = json!({ "categories": categories, "annotations": [{ "id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 4, 4] }] });
    let files = CocoFiles {
        captions: put(&dir, "captions.json", captions.to_string()),
        instances: Some(put(&dir, "instances.json", instances.to_string())),
        images: vec![dir.path().to_owned()],
    };
    let source = coco(&files, &limits()).unwrap();
    assert_eq!(source.labels().classes.len(), MANY);
    assert_eq!(source.objects(0).unwrap().unwrap()[0].class, 7);
}

/// Sizes are those of the upright image.
#[test]
fn header_sizes_equal_decoded_sizes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut names: Vec<String> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "animated.webp")
        .collect();
    names.sort();
    let lines: Vec<String> = names
        .iter()
        .map(|name| json!({ "image": name, "caption": "x" }).to_string())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = put(&dir, "all.jsonl", lines.join("\n"));
    let options = GenericOptions::default().with_images(Some(data));
    let source = generic(file, options).unwrap();
    assert!(source.len() > 40);
    for (index, name) in names.iter().enumerate() {
        let image = source.load(index).unwrap().image;
        assert_eq!(source.size(index), (image.width, image.height), "{name}");
    }
}

#[test]
fn invalid_coco_records_do_not_affect_the_others() {
    let dir = folder(&["images/a.png"]);
    fs::create_dir(dir.path().join("annotations")).unwrap();
    // NaN is written by Python but is not JSON; the referenced lists come last.
    let captions = r#"{"annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}, {"id": 2, "image_id": 1, "caption": 7}],
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}, {"id": "x"}]}"#;
    let instances = r#"{"annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [NaN, 0, 2, 2]}, {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 0, 2, 2]},
        {"id": 3, "image_id": 1, "category_id": 3, "bbox": [1, 0, Infinity, 2]}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 4}]}"#;
    put(&dir, "annotations/captions_x.json", captions);
    put(&dir, "annotations/instances_x.json", instances);
    let source = coco(&CocoFiles::find(dir.path(), None).unwrap(), &limits()).unwrap();
    let report = source.report();
    let records: Vec<&str> = report
        .skipped_records
        .iter()
        .map(|f| f.record.as_str())
        .collect();
    assert_eq!(
        records,
        [
            "image number 2",
            "caption 2",
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
            .contains("5 invalid records skipped, 2 boxes without area"),
        "{report}"
    );
    assert_eq!(source.coco_id(0), Some(1));
}

/// Runs if `VLP_DATA` names a folder of small real files: coco-mini, flickr8k, daquar_vqa, snli_ve and nlvr2 in their
/// official formats.
#[test]
fn real_files_are_read() {
    let Some(dir) = std::env::var_os("VLP_DATA") else {
        println!("SKIPPED: VLP_DATA names no folder of real files");
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
        ("karpathy evaluation", flickr(&KarpathySplit::EVALUATION)),
        ("vqa", vqa(&daquar, &limits()).unwrap()),
        (
            "snli_ve",
            snli_ve(
                snli.join("snli_ve_dev.jsonl"),
                snli.join("images"),
                SnliVeText::default(),
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
                (sample.image.width, sample.image.height)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Mutated files give valid samples or an error with the file's name.
    #[test]
    fn mutated_files_never_panic(
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
        for (position, byte) in changes {
            let index = (position * bytes.len() as f64) as usize;
            bytes[index] = byte;
        }
        let path = dir.path().join(["annotations/captions_x.json", "generic.json", "dev.json"][kind]);
        fs::write(&path, bytes).unwrap();
        let source: Result<Box<dyn Source>, DataError> = match kind {
            0 => coco(&CocoFiles::find(dir.path(), None).unwrap(), &limits()).map(|s| Box::new(s) as _),
            1 => generic(&path, GenericOptions::default()).map(|s| Box::new(s) as _),
            _ => nlvr2(&path, dir.path(), &limits()).map(|s| Box::new(s) as _),
        };
        match source {
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
