//! The COCO reader: files with every kind of invalid record, and real files if the variable VLP_COCO names their folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use vlp_data::{
    DataError, FileSource, Image, Limits, Source, Subset,
    read::{CocoFiles, coco},
    split_by_key,
};

fn open(dir: impl AsRef<Path>) -> Result<FileSource, DataError> {
    coco(&CocoFiles::find(dir, None)?, &Limits::default())
}

/// A folder with the 8 x 6 images `a.png` and `b.png`, and annotation files with the given records.
fn folder(images: Value, captions: Value, instances: Option<Value>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("annotations")).unwrap();
    fs::create_dir_all(dir.path().join("images")).unwrap();
    let image = Image::filled(8, 6, [9, 99, 199]);
    let image = image::RgbImage::from_raw(8, 6, image.rgb).unwrap();
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
fn invalid_records_are_skipped_and_listed() {
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
    let source = open(dir.path()).unwrap();
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
    assert_eq!(report.boxes_of_other_images, 1);
    let skipped: Vec<(&str, &str)> = report
        .skipped_records
        .iter()
        .map(|f| (f.record.as_str(), f.reason.split('/').next().unwrap()))
        .collect();
    let assert_skipped = |record: &str, reason: &str| {
        assert!(
            skipped
                .iter()
                .any(|(r, why)| *r == record && why.contains(reason)),
            "{record}: {skipped:#?}"
        );
    };
    assert!(
        report
            .skipped_records
            .iter()
            .any(|f| f.record == "image 2" && f.reason.ends_with("missing.png is missing"))
    );
    assert_skipped("image 1", "twice");
    assert_skipped("image 3", "no caption");
    assert_skipped("image 4", "size is 0x6");
    assert_skipped("image without id", "lacks");
    assert_skipped("caption 1", "twice");
    assert_skipped("caption 3", "no image 77");
    assert_skipped("caption 5", "lacks");
    assert_skipped("category 7", "twice");
    assert_skipped("instance 5", "unknown category 8");
    assert_skipped("instance 6", "no image 77");
    assert_skipped("instance 1", "twice");
    assert_skipped("instance 8", "bbox");
    assert_skipped("caption 2", "no words");
    assert_skipped("instance 3", "no area");
    assert_skipped("instance 4", "no area");
    assert_eq!((skipped.len(), report.skipped), (16, 16), "{skipped:#?}");
    assert!(
        report
            .skipped_records
            .iter()
            .all(|f| f.file.contains("small.json") && !f.source.is_empty())
    );

    assert_eq!(source.labels().classes, ["dog", "cat"]);
    assert_eq!(source.labels().ids, [7, 90]);
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
fn without_an_instances_file_objects_are_none() {
    let dir = folder(
        json!([image(1, "a.png")]),
        json!([{ "id": 1, "image_id": 1, "caption": "x" }]),
        None,
    );
    let source = open(dir.path()).unwrap();
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
fn an_image_with_another_size_than_annotated_is_an_error() {
    let images = json!([{ "id": 1, "file_name": "a.png", "width": 80, "height": 60 }]);
    let dir = folder(
        images,
        json!([{ "id": 1, "image_id": 1, "caption": "x" }]),
        None,
    );
    let error = open(dir.path()).unwrap().load(0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is 8x6, its annotation says 80x60"),
        "{error}"
    );
}

/// The EXIF orientation rotates the fixture from 24 x 16 to 16 x 24; boxes may be annotated for either.
#[test]
fn exif_orientation_is_applied_if_the_annotation_has_the_upright_size() {
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
        let image = open(dir.path()).unwrap().load(0).unwrap().image;
        assert_eq!((image.width, image.height), (width, height));
    }
}

#[test]
fn errors_name_missing_and_malformed_files() {
    let message = |dir: &Path, split: Option<&str>| {
        let files = CocoFiles::find(dir, split);
        let source = files.and_then(|files| coco(&files, &Limits::default()));
        source.err().unwrap().to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    assert!(message(dir.path(), None).contains("annotations"));
    let annotations = dir.path().join("annotations");
    fs::create_dir(&annotations).unwrap();
    assert!(message(dir.path(), None).contains("no captions_SPLIT.json"));
    fs::write(
        annotations.join("captions_b.json"),
        "{\"images\": [], \"annotations\": 3}",
    )
    .unwrap();
    assert!(message(dir.path(), None).contains("no folder of images"));
    fs::create_dir(dir.path().join("b")).unwrap();
    let malformed = message(dir.path(), None);
    assert!(
        malformed.contains("captions_b.json") && malformed.contains("line 1"),
        "{malformed}"
    );
    fs::write(annotations.join("captions_a.json"), "{}").unwrap();
    assert!(message(dir.path(), None).ends_with("it has several splits, select one: a, b"));
    assert!(message(dir.path(), Some("c")).contains("captions_c.json"));
}

#[test]
fn split_by_key_is_stable() {
    let noise = |count| -> Arc<dyn Source> { Arc::new(common::source(common::samples(count, 4))) };
    let (few, many) = (noise(500), noise(1000));
    let (validation, train) = split_by_key(&few, 0.2, 3).unwrap();
    assert_eq!(validation.len() + train.len(), 500);
    // Five standard deviations of 500 draws of chance 0.2 are 45.
    assert!(
        (55..=145).contains(&validation.len()),
        "{}",
        validation.len()
    );
    let (more, _) = split_by_key(&many, 0.2, 3).unwrap();
    assert_eq!(
        more.indices()[..validation.len()],
        *validation.indices(),
        "an image stays on its side"
    );
    let (other, _) = split_by_key(&few, 0.2, 4).unwrap();
    assert_ne!(other.indices(), validation.indices());
    assert_eq!(
        validation.load(0).unwrap(),
        few.load(validation.indices()[0]).unwrap()
    );
    assert_eq!(validation.key(0), few.key(validation.indices()[0]));
    // All samples of an image are on the same side.
    let doubled: Arc<dyn Source> =
        Arc::new(Subset::new(few.clone(), (0..500).chain(0..500).collect(), "doubled").unwrap());
    let (validation, train) = split_by_key(&doubled, 0.2, 3).unwrap();
    let keys: std::collections::HashSet<u64> =
        (0..validation.len()).map(|i| validation.key(i)).collect();
    assert!((0..train.len()).all(|i| !keys.contains(&train.key(i))));
    assert!(split_by_key(&few, 1.5, 3).is_err());
    assert!(Subset::new(few, vec![500], "outside").is_err());
}

#[test]
fn real_files_are_read() {
    let Some(dir) = std::env::var_os("VLP_COCO") else {
        println!("SKIPPED: VLP_COCO names no folder of COCO files");
        return;
    };
    let source = open(&dir).unwrap();
    let report = source.report();
    println!("{report:?}");
    assert!(source.len() > 0 && report.skipped_records.is_empty());
    for index in 0..source.len().min(100) {
        let sample = source.load(index).unwrap();
        assert!(!sample.captions.is_empty());
        let (width, height) = (sample.image.width as f32, sample.image.height as f32);
        for object in sample.objects.unwrap_or_default() {
            let [x0, y0, x1, y1] = object.bbox;
            assert!(0.0 <= x0 && x0 < x1 && x1 <= width && 0.0 <= y0 && y0 < y1 && y1 <= height);
        }
    }
}
