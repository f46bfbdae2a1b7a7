//! Visual Genome.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_data::{
    Source,
    read::{GenomeFiles, visual_genome},
};

use crate::{assert_skipped, folder, limits, put, texts};

#[test]
fn visual_genome_files_are_read() {
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
        { "id": 5, "regions": [region(51, json!("of the missing image"))] },
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
            put(
                &dir,
                "objects_vocab.txt",
                "\u{feff}car,automobile\r\ngrass\r\n\r\n",
            ),
        )),
        attributes: Some((
            put(&dir, "attributes.json", attributes.to_string()),
            put(&dir, "attributes_vocab.txt", "green\nred,crimson"),
        )),
    };
    let source = visual_genome(&files, None, &limits()).unwrap();
    assert_eq!(texts(&source), ["a red car", "grass"]);
    assert_skipped(
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
    let bad_images = GenomeFiles {
        image_data: put(&dir, "bad.json", "[7]"),
        objects: None,
        attributes: None,
        ..files.clone()
    };
    let error = visual_genome(&bad_images, None, &limits()).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("bad.json: image number 1"), "{error}");
    let empty = GenomeFiles {
        objects: Some((files.regions.clone(), put(&dir, "none.txt", "\n"))),
        ..files
    };
    let error = visual_genome(&empty, None, &limits())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("none.txt") && error.contains("one per line"),
        "{error}"
    );
}

/// The files of an image of 8 x 6 pixels, with objects and attributes, each with their vocabulary.
fn one_image(dir: &TempDir, objects: (&Value, &str), attributes: (&Value, &str)) -> GenomeFiles {
    fs::rename(dir.path().join("1.png"), dir.path().join("1.jpg")).unwrap();
    let json = |name: &str, value: &Value| put(dir, name, value.to_string());
    GenomeFiles {
        image_data: json(
            "image_data.json",
            &json!([{ "image_id": 1, "width": 8, "height": 6 }]),
        ),
        regions: json(
            "region_descriptions.json",
            &json!([{ "id": 1, "regions": [{ "phrase": "a caption" }] }]),
        ),
        images: dir.path().into(),
        objects: Some((
            json("objects.json", objects.0),
            put(dir, "objects_vocab.txt", objects.1),
        )),
        attributes: Some((
            json("attributes.json", attributes.0),
            put(dir, "attributes_vocab.txt", attributes.1),
        )),
    }
}

/// As `data/genome/setup_vg.py` of bottom-up attention, whose vocabularies have cleaned names.
#[test]
fn names_of_visual_genome_are_cleaned_as_those_of_its_vocabularies() {
    let dir = folder(&["1.png"]);
    let object = |id: u64, names: &[&str]| json!({ "object_id": id, "x": 1, "y": 1, "w": 3, "h": 2, "names": names });
    let objects = json!([{ "image_id": 1, "objects": [
        object(1, &["Shirt."]),
        object(2, &["white shirt"]),
        object(3, &["small  White shirt."]),
        object(4, &["tennis court"]),
        object(5, &["old white shirt"]),
        object(6, &["dark shirt"]),
        // The vocabulary has the whole name, but it is a car that is red.
        object(7, &["red car"]),
        object(8, &["unicorn", "black shirt"]),
    ] }]);
    let attributes = json!([{ "image_id": 1, "attributes": [
        { "object_id": 1, "attributes": ["Red and striped."] },
        { "object_id": 2, "attributes": ["white", "black and white"] },
        { "object_id": 4, "attributes": ["white and black"] },
    ] }]);
    let classes = "shirt\ntennis court\nred car\ncar\n";
    let names = "white\nred\nstriped\nblack and white\nsmall\nblack";
    let files = one_image(&dir, (&objects, classes), (&attributes, names));
    let labels = |files: &GenomeFiles| {
        let source = visual_genome(files, None, &limits()).unwrap();
        let objects = source.objects(0).unwrap().unwrap();
        let labels = objects.into_iter().map(|o| (o.class, o.attributes));
        (
            labels.collect::<Vec<_>>(),
            source.report().outside_vocabulary,
        )
    };
    let expected = [
        (0, vec![1, 2]),
        (0, vec![0, 3]),
        (0, vec![4, 0]),
        (1, vec![0, 5]),
        (0, vec![]),
        (3, vec![1]),
        (0, vec![5]),
    ];
    // Outside are the old white shirt and the attribute dark.
    assert_eq!(labels(&files), (expected.to_vec(), 2));
    let (without, outside) = labels(&GenomeFiles {
        attributes: None,
        ..files
    });
    let classes: Vec<usize> = without.iter().map(|(class, _)| *class).collect();
    assert_eq!(classes, [0, 0, 0, 1, 0, 3, 0]);
    assert!(without.iter().all(|(_, attributes)| attributes.is_empty()));
    assert_eq!(outside, 1);
}

/// An empty list of objects says that there are none; a record that is missing or invalid says nothing.
#[test]
fn boxes_of_an_image_without_a_valid_record_of_objects_are_unknown() {
    let dir = folder(&["1.png", "2.png", "3.png", "4.png"]);
    for id in 1..=4 {
        let path = dir.path().join(format!("{id}.png"));
        fs::rename(&path, path.with_extension("jpg")).unwrap();
    }
    let images = (1..=4).map(|id| json!({ "image_id": id, "width": 8, "height": 6 }));
    let regions = (1..=4).map(|id| json!({ "id": id, "regions": [{ "phrase": "a car" }] }));
    let car = json!({ "x": 1, "y": 1, "w": 3, "h": 2, "names": ["car"] });
    let objects = json!([
        { "image_id": 1, "objects": [car] },
        { "image_id": 2, "objects": [car, { "names": "car" }] },
        { "image_id": 3, "objects": [] },
    ]);
    let json = |name: &str, value: Value| put(&dir, name, value.to_string());
    let files = GenomeFiles {
        image_data: json("image_data.json", images.collect()),
        regions: json("region_descriptions.json", regions.collect()),
        images: dir.path().into(),
        objects: Some((
            json("objects.json", objects),
            put(&dir, "objects_vocab.txt", "car"),
        )),
        attributes: None,
    };
    let source = visual_genome(&files, None, &limits()).unwrap();
    assert_skipped(
        &source,
        &[("image number 2", "invalid type: string \"car\"")],
    );
    let counts = (0..4).map(|index| Some(source.objects(index).unwrap()?.len()));
    assert_eq!(counts.collect::<Vec<_>>(), [Some(1), None, Some(0), None]);
}

#[test]
fn an_object_that_was_annotated_twice_is_one_if_duplicates_are_merged() {
    let dir = folder(&["1.png"]);
    let object = |id: u64, y: f64, name: &str| json!({ "object_id": id, "x": 1, "y": y, "w": 5, "h": 4, "names": [name] });
    let objects = json!([{ "image_id": 1, "objects": [
        object(1, 1.0, "car"), object(2, 1.1, "automobile"), object(3, 2.0, "car"), object(4, 1.0, "lawn"),
        // Both are as wrong, and are skipped alone.
        { "object_id": 5, "x": 1, "y": 1, "w": 0, "h": 4, "names": ["car"] },
        { "object_id": 6, "x": 1, "y": 1, "w": 0, "h": 4, "names": ["car"] },
    ] }]);
    let attributes = json!([{ "image_id": 1, "attributes": [
        { "object_id": 1, "attributes": ["red"] }, { "object_id": 2, "attributes": ["shiny", "red"] },
    ] }]);
    let classes = "car,automobile\nlawn";
    let files = one_image(&dir, (&objects, classes), (&attributes, "red\nshiny"));
    let read = |iou: Option<f64>| {
        let source = visual_genome(&files, iou, &limits()).unwrap();
        let objects = source.load(0).unwrap().objects.unwrap().into_iter();
        let objects = objects.map(|o| (o.class, o.bbox[1], o.attributes));
        let report = source.report();
        (
            objects.collect::<Vec<_>>(),
            report.duplicate_boxes,
            report.skipped,
        )
    };
    let lawn = (1, 1.0, vec![]);
    let merged = vec![(0, 1.0, vec![0, 1]), (0, 2.0, vec![]), lawn.clone()];
    assert_eq!(read(Some(0.9)), (merged, 1, 2));
    let all = vec![
        (0, 1.0, vec![0]),
        (0, 1.1, vec![1, 0]),
        (0, 2.0, vec![]),
        lawn,
    ];
    assert_eq!(read(None), (all, 0, 2));
}
