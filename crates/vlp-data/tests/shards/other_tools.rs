//! Shards of other tools and systems: hidden members, byte-order marks, compression, ids that two images have.

use std::sync::Arc;

use serde_json::json;
use tar::EntryType;
use vlp_data::{
    FileSource, Source,
    check::{CheckOptions, check},
    shards::{MANIFEST, PackOptions, ShardOptions, open, pack},
};

use crate::{MemoryStore, archive, captions, common, png, raw, skipped, try_open};

fn open_files(files: &[(&str, Vec<u8>)]) -> Result<FileSource, String> {
    let store = MemoryStore {
        files: files
            .iter()
            .cloned()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect(),
        ..MemoryStore::default()
    };
    let opened = open(Arc::new(store), ShardOptions::default());
    opened
        .map(|opened| opened.source)
        .map_err(|error| error.to_string())
}

#[test]
fn hidden_members_are_ignored() {
    let image = png(8, 6, 1);
    // As macOS orders them: between the members of a sample, and in a folder of their own.
    let bytes = archive(&[
        ("./._.", b"Mac OS X"),
        ("./a.b/._0.JPG", b"Mac OS X"),
        ("./a.b/0.JPG", &image),
        ("./a.b/._0.TXT", b"Mac OS X"),
        ("./a.b/.DS_Store", b"settings"),
        ("./a.b/Thumbs.db", b"settings"),
        ("./a.b/0.TXT", b"\xef\xbb\xbfa dog\r\n"),
        ("__MACOSX/a.b/._0.TXT", b"Mac OS X"),
        ("1.txt", b"a cat"),
        ("desktop.ini", b"settings"),
        ("._1.png", b"Mac OS X"),
        ("1.png", &image),
        ("2.png", &image),
        ("2.json", b"\xef\xbb\xbf{\"caption\": \"a bird\", \"boxes\": [{\"bbox\": [1, 1, 2, 2], \"label\": \"x\", \"crowd\": null}]}"),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["a dog", "a cat", "a bird"]);
    assert_eq!(skipped(&source), []);
    assert_eq!(source.report().other_members, 8);
}

#[test]
fn hidden_and_compressed_shards_are_no_shards() {
    let image = png(8, 6, 1);
    let shard = archive(&[("0.png", &image), ("0.txt", b"a dog")]);
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03", shard.as_slice()].concat();
    let hidden = b"Mac OS X".to_vec();
    let source = open_files(&[("._0.tar", hidden.clone()), ("0.TAR", shard)]).unwrap();
    assert_eq!(captions(&source), ["a dog"]);
    assert_eq!(source.report().skipped, 0);
    let error = open_files(&[("._0.tar", hidden), ("0.tar.gz", gzip.clone())]).unwrap_err();
    assert!(error.contains("0.tar.gz is compressed"), "{error}");
    for len in [gzip.len(), 100] {
        let error = open_files(&[("0.tar", gzip[..len].to_vec())]).unwrap_err();
        assert!(
            error.contains("gzip") && error.contains("uncompressed"),
            "{error}"
        );
    }
}

#[test]
fn second_image_of_an_id_is_skipped_and_both_are_named() {
    let (one, two, damaged) = (png(8, 6, 1), png(9, 6, 2), &png(9, 6, 3)[..60]);
    let record = |image: Option<&str>, caption: &str| {
        let mut record = json!({"image_id": 5, "caption": caption});
        if let Some(image) = image {
            record["image"] = image.into();
        }
        record.to_string().into_bytes()
    };
    let records = [
        record(Some("a.png"), "one"),
        record(Some("a.png"), "two"),
        record(Some("b.png"), "three"),
        record(None, "four"),
    ];
    let bytes = archive(&[
        ("0.json", &records[0]),
        ("0.png", &one),
        ("1.json", &records[1]),
        ("1.png", &one),
        ("2.json", &records[2]),
        ("2.png", &two),
        ("3.json", &records[3]),
        ("3.png", damaged),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["one", "two"]);
    let skipped = skipped(&source);
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    for ((record, reason), key) in skipped.iter().zip(["2", "3"]) {
        assert_eq!(record, key);
        let is_named = reason.contains("id 5 of another image, a.png of a.tar/0");
        assert!(is_named, "{reason}");
    }
    let report = check(&source, &CheckOptions::default(), &|_, _| {}).unwrap();
    assert_eq!((report.images, report.duplicates.images), (1, 0));
}

#[test]
fn images_of_one_name_without_ids_are_different_images() {
    let (one, two) = (png(8, 6, 1), png(9, 6, 2));
    let record = |caption: &str| {
        let record = json!({"image": "a.png", "caption": caption});
        record.to_string().into_bytes()
    };
    let (first, second) = (record("one"), record("two"));
    let bytes = archive(&[
        ("x/0.json", &first),
        ("x/0.png", &one),
        ("x/1.json", &second),
        ("x/1.png", &one),
        ("y/0.json", &second),
        ("y/0.png", &two),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(skipped(&source), []);
    assert_eq!(captions(&source), ["one", "two", "two"]);
    assert_eq!(source.key(0), source.key(1));
    assert_ne!(source.key(0), source.key(2));
    assert_eq!(source.load(2).unwrap().image.width, 9);
}

#[test]
fn shards_that_the_manifest_does_not_list_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    let source = common::source(common::samples(3, 8));
    pack(&source, &set, &PackOptions::default()).unwrap();
    let mut files = vec![];
    for entry in std::fs::read_dir(&set).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files.push((name, std::fs::read(path).unwrap()));
    }
    assert_eq!(files.len(), 3);
    files.push((
        "000001.tar".into(),
        raw(b"x.txt", EntryType::Regular, b"words"),
    ));
    files.push(("._000000.tar".into(), b"Mac OS X".to_vec()));
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.clone()))
        .collect();
    let source = open_files(&files).unwrap();
    assert_eq!(source.len(), 3);
    let records = &source.report().skipped_records;
    assert_eq!(
        (records.len(), records[0].record.as_str()),
        (1, "000001.tar")
    );
    assert!(records[0].reason.contains(MANIFEST), "{}", records[0]);
    std::fs::write(set.join("000001.tar"), b"not listed").unwrap();
    let indexed = crate::indexed::open_folder(&set);
    let record = &indexed.report().skipped_records[0];
    assert_eq!(
        (indexed.report().samples, record.record.as_str()),
        (3, "000001.tar")
    );
    assert_eq!(record.reason, records[0].reason);
}

/// What the first record leaves open, such as the size that boxes are clipped to, is settled by then.
#[test]
fn later_records_of_an_image_add_neither_id_nor_size() {
    let records = json!([
        {"caption": "one", "boxes": [{"bbox": [0, 0, 9, 9], "label": "dog"}]},
        {"caption": "two", "width": 8, "height": 6},
        {"caption": "three", "image_id": 5},
        {"caption": "four"},
    ]);
    let sized = json!([
        {"caption": "five", "image_id": 5, "width": 8, "height": 6},
        {"caption": "six", "image_id": 5, "width": 8, "height": 6},
        {"caption": "seven", "width": 6, "height": 8},
        {"caption": "eight", "image_id": 6},
    ]);
    let image = png(8, 6, 1);
    let bytes = archive(&[
        ("0.json", records.to_string().as_bytes()),
        ("0.png", &image),
        ("1.json", sized.to_string().as_bytes()),
        ("1.png", &image),
    ]);
    let source = try_open(bytes).unwrap();
    assert_eq!(captions(&source), ["one", "four", "five", "six"]);
    let expected = [
        ("0, record 2", "its image is 8x6, but record 1 has no width"),
        ("0, record 3", "its image has image_id 5, but"),
        ("1, record 3", "its image is 6x8, but 8x6 in record 1"),
        ("1, record 4", "its image has image_id 6, but 5 in record 1"),
    ];
    let skipped = skipped(&source);
    assert_eq!(skipped.len(), expected.len(), "{skipped:?}");
    for ((record, reason), (expected, part)) in skipped.iter().zip(expected) {
        assert!(record == expected && reason.contains(part), "{skipped:?}");
    }
}

#[test]
fn what_is_wrong_with_a_record_is_named_with_its_position() {
    let image = png(3, 3, 0);
    let bytes = archive(&[
        ("0.json", br#"{"caption": "one", "image_id": {}}"#),
        ("0.png", &image),
        ("1.txt", b"two"),
        ("1.png", &image),
    ]);
    let reason = "invalid type: map, expected u64, at its byte 31";
    let skipped = skipped(&try_open(bytes).unwrap());
    assert_eq!(skipped, [("0".to_owned(), reason.to_owned())]);
}
