//! The index cache: read back unchanged, rebuilt when it is invalid or out of date, never an error.

use std::{fs, path::Path, sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};
use vlp_data::{
    DataError, FileSource, Limits, Source,
    read::{
        CocoFiles, GenericOptions,
        cache::{CacheState, open_or_build},
        coco, generic,
    },
    shards::{Folder, PackOptions, ShardOptions, open, pack},
};

/// COCO files of `count` images with two captions and a box each.
fn write_coco(dir: &Path, count: u8) {
    let (annotations, image_folder) = (dir.join("annotations"), dir.join("train"));
    fs::create_dir_all(&annotations).unwrap();
    fs::create_dir_all(&image_folder).unwrap();
    let (mut images, mut captions, mut instances) = (vec![], vec![], vec![]);
    for id in 0..count {
        let file = format!("{id}.png");
        fs::write(image_folder.join(&file), crate::png(20, 10, id)).unwrap();
        images.push(json!({"id": id, "file_name": file, "width": 20, "height": 10}));
        for caption in ["one", "two"] {
            let number = captions.len();
            captions.push(json!({"id": number, "image_id": id, "caption": caption}));
        }
        instances.push(json!({
            "id": id, "image_id": id, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0,
        }));
    }
    let write = |name: &str, file: Value| {
        fs::write(annotations.join(name), file.to_string()).unwrap();
    };
    write(
        "captions_train.json",
        json!({"images": images, "annotations": captions}),
    );
    let categories = json!([{"id": 3, "name": "dog"}]);
    write(
        "instances_train.json",
        json!({"images": images, "annotations": instances, "categories": categories}),
    );
}

fn assert_equal(a: &dyn Source, b: &dyn Source) {
    assert_eq!(
        (a.len(), a.name(), a.labels()),
        (b.len(), b.name(), b.labels())
    );
    for index in 0..a.len() {
        assert_eq!(a.load(index).unwrap(), b.load(index).unwrap());
        assert_eq!(a.size(index), b.size(index));
        assert_eq!(a.coco_id(index), b.coco_id(index));
    }
}

/// A JSON lines file with a valid and an invalid record.
fn write_records(dir: &Path) -> std::path::PathBuf {
    fs::write(dir.join("a.png"), crate::png(20, 10, 0)).unwrap();
    let path = dir.join("all.jsonl");
    let lines = r#"{"image": "a.png", "captions": ["é", "two"], "answers": ["x", "y"], "id": 3, "boxes": [{"bbox": [1, 2, 3, 4], "label": "dog", "attributes": ["wet"]}], "coco_id": 8}
{"image": "b.png", "caption": "missing"}"#;
    fs::write(&path, lines).unwrap();
    path
}

fn read(path: &Path) -> Result<FileSource, DataError> {
    generic(path, GenericOptions::default())
}

#[test]
fn cached_index_equals_the_built_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_records(dir.path());
    let cache = dir.path().join("index");
    let inputs = [path.clone()];
    let open = |options: &str| open_or_build(&cache, &inputs, options, || read(&path)).unwrap();
    let built = open("one");
    assert_eq!(
        built.state,
        CacheState::Rebuilt("there was no cache".into())
    );
    let cached = open_or_build(&cache, &inputs, "one", || panic!("rebuilt")).unwrap();
    assert_eq!(cached.state, CacheState::Hit);
    assert_equal(&built.source, &cached.source);
    assert_eq!(built.source.report(), cached.source.report());
    assert_eq!(built.source.consensus(0), cached.source.consensus(0));
    assert_eq!(
        open("two").state,
        CacheState::Rebuilt("the cache was written with other options".into())
    );
    // Two inputs instead of one.
    let two_inputs = [path.clone(), dir.path().to_owned()];
    let opened = open_or_build(&cache, &two_inputs, "two", || read(&path)).unwrap();
    assert!(
        matches!(opened.state, CacheState::Rebuilt(reason) if reason.contains("number of files"))
    );
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        3,
        "temporary files remain"
    );
}

#[test]
fn changed_inputs_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_records(dir.path());
    let cache = dir.path().join("index");
    let images = dir.path().join("images");
    fs::create_dir(&images).unwrap();
    let open =
        || open_or_build(&cache, &[path.clone(), images.clone()], "", || read(&path)).unwrap();
    open();
    assert_eq!(open().state, CacheState::Hit);
    let assert_changed = |state: CacheState, name: &str| {
        assert!(
            matches!(&state, CacheState::Rebuilt(reason) if reason.contains(name) && reason.contains("has changed")),
            "{state}"
        );
    };
    // Other content of the same length and modification time.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("two", "six")).unwrap();
    let handle = fs::File::options().write(true).open(&path).unwrap();
    handle.set_modified(modified).unwrap();
    let opened = open();
    assert_changed(opened.state, "all.jsonl");
    assert_eq!(opened.source.captions(0).unwrap()[1], "six");
    handle
        .set_modified(modified + Duration::from_secs(7))
        .unwrap();
    assert_changed(open().state, "all.jsonl");
    assert_eq!(open().state, CacheState::Hit);
    fs::remove_file(&path).unwrap();
    let error = open_or_build(&cache, std::slice::from_ref(&path), "", || {
        panic!("no input")
    });
    assert!(error.err().unwrap().to_string().contains("all.jsonl"));
}

#[test]
fn images_that_arrive_leave_or_change_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    fs::create_dir_all(images.join("one")).unwrap();
    fs::write(images.join("one/a.png"), crate::png(20, 10, 0)).unwrap();
    let record = |image: &str| json!({"image": image, "caption": image, "boxes": [{"bbox": [0, 0, 40, 40], "label": "dog"}]});
    let records = json!([
        record("one/a.png"),
        record("one/b.png"),
        record("two/c.png")
    ]);
    let file = dir.path().join("own.json");
    fs::write(&file, records.to_string()).unwrap();
    // The cache itself is in a folder of images.
    let cache = images.join("one/own.index");
    let read = || {
        let options = GenericOptions::default().with_images(Some(images.clone()));
        generic(&file, options)
    };
    let open = || open_or_build(&cache, &[file.clone(), images.clone()], "", read).unwrap();
    let assert_rebuilt = |len: usize| {
        let opened = open();
        assert!(
            matches!(opened.state, CacheState::Rebuilt(_)),
            "{}",
            opened.state
        );
        assert_eq!(opened.source.len(), len);
        assert_equal(&read().unwrap(), &opened.source);
        let hit = open();
        assert_eq!(hit.state, CacheState::Hit);
        assert_equal(&opened.source, &hit.source);
    };
    assert_rebuilt(1);
    fs::write(images.join("one/b.png"), crate::png(20, 10, 1)).unwrap();
    assert_rebuilt(2);
    fs::create_dir(images.join("two")).unwrap();
    fs::write(images.join("two/c.png"), crate::png(20, 10, 2)).unwrap();
    assert_rebuilt(3);
    // A folder's modification time may be that of its source, as after rsync.
    let modified = fs::metadata(images.join("one"))
        .unwrap()
        .modified()
        .unwrap();
    fs::rename(images.join("one/b.png"), images.join("one/d.png")).unwrap();
    let folder = fs::File::open(images.join("one")).unwrap();
    folder.set_modified(modified).unwrap();
    assert_rebuilt(2);
    fs::remove_dir_all(images.join("two")).unwrap();
    assert_rebuilt(1);
    // Boxes are clipped to the size in the image header.
    let image = images.join("one/a.png");
    let modified = fs::metadata(&image).unwrap().modified().unwrap();
    fs::write(&image, crate::png(30, 15, 0)).unwrap();
    let handle = fs::File::options().write(true).open(&image).unwrap();
    handle.set_modified(modified).unwrap();
    assert_rebuilt(1);
    assert_eq!(
        open().source.objects(0).unwrap().unwrap()[0].bbox,
        [0.0, 0.0, 30.0, 15.0]
    );
}

/// Its boxes were dropped, because its size was unknown.
#[test]
fn an_image_that_was_unreadable_is_noticed_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_records(dir.path());
    let image = dir.path().join("a.png");
    fs::write(&image, "not an image").unwrap();
    let cache = dir.path().join("index");
    let inputs = [path.clone()];
    let open = || open_or_build(&cache, &inputs, "", || read(&path)).unwrap();
    let box_count = |source: &FileSource| source.objects(0).unwrap().unwrap().len();
    assert_eq!(box_count(&open().source), 0);
    assert_eq!(open().state, CacheState::Hit);
    fs::write(&image, crate::png(20, 10, 0)).unwrap();
    assert_eq!(box_count(&open().source), 1);
}

#[test]
fn what_is_not_a_cache_or_cannot_be_read_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_records(dir.path());
    let inputs = [path.clone()];
    let state = |cache: &Path| {
        let opened = open_or_build(cache, &inputs, "", || read(&path)).unwrap();
        assert_eq!(opened.source.len(), 1);
        opened.state
    };
    for contents in ["", "my notes"] {
        let cache = dir.path().join("notes");
        fs::write(&cache, contents).unwrap();
        let reason = "the file is not a cache".to_owned();
        assert_eq!(state(&cache), CacheState::NotWritten(reason));
        assert_eq!(fs::read_to_string(&cache).unwrap(), contents);
    }
    #[cfg(unix)]
    {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("link", &link).unwrap();
        let state = state(&link);
        assert!(
            matches!(&state, CacheState::NotWritten(reason) if reason.contains("could not be read")),
            "{state}"
        );
        assert!(link.symlink_metadata().unwrap().is_symlink());
    }
}

#[test]
fn unwritable_cache_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_records(dir.path());
    let unwritable = dir.path().join("no folder/index");
    let opened =
        open_or_build(&unwritable, std::slice::from_ref(&path), "", || read(&path)).unwrap();
    assert!(
        matches!(opened.state, CacheState::NotWritten(_)),
        "{}",
        opened.state
    );
    assert_eq!(opened.source.len(), 1);
    // A failed build is an error.
    let failing = || Err(DataError::Worker("no".into()));
    let error = open_or_build(&unwritable, &[path], "", failing);
    assert!(error.is_err());
}

#[test]
fn coco_files_and_shards_have_index_caches() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    write_coco(dir.path(), 12);
    let files = CocoFiles::find(dir.path(), Some("train")).unwrap();
    let plain = coco(&files, &Limits::default()).unwrap();
    let cache = dir.path().join("coco.index");
    let cached = || {
        let build = || coco(&files, &Limits::default());
        open_or_build(&cache, &files.inputs(), "", build).unwrap()
    };
    let built = cached();
    assert!(matches!(built.state, CacheState::Rebuilt(_)));
    let hit = cached();
    assert_eq!(hit.state, CacheState::Hit);
    for source in [&built.source, &hit.source] {
        assert_equal(&plain, source);
        assert_eq!(source.labels(), plain.labels());
    }

    let pack_options = PackOptions::default().with_shard_samples(5);
    pack(&plain, &set, &pack_options).unwrap();
    let shards = || {
        let options = ShardOptions::default().with_index(Some(dir.path().join("set.index")));
        open(Arc::new(Folder::open(&set).unwrap()), options).unwrap()
    };
    assert!(matches!(shards().state, CacheState::Rebuilt(_)));
    let cached = shards();
    assert_eq!(cached.state, CacheState::Hit);
    assert_equal(&plain, &cached.source);
    assert_eq!(cached.source.block_starts(), [0, 5, 10]);
    let shard = fs::File::options()
        .write(true)
        .open(set.join("000001.tar"))
        .unwrap();
    shard.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert!(
        matches!(shards().state, CacheState::Rebuilt(reason) if reason.contains("000001.tar has changed"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    // 400 corrupt caches, half of them with a valid checksum.
    #[test]
    fn corrupt_caches_are_rebuilt(offset in any::<prop::sample::Index>(), byte: u8, len in prop::option::weighted(0.3, any::<prop::sample::Index>()), fix_checksum: bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = write_records(dir.path());
        let cache = dir.path().join("index");
        let inputs = [path.clone()];
        open_or_build(&cache, &inputs, "", || read(&path)).unwrap();
        let mut bytes = fs::read(&cache).unwrap();
        let valid = bytes.clone();
        if let Some(len) = len {
            bytes.truncate(len.index(bytes.len()));
        }
        if !bytes.is_empty() {
            let offset = offset.index(bytes.len());
            bytes[offset] = byte;
        }
        if fix_checksum && bytes.len() > 16 {
            let crc = crc32c::crc32c(&bytes[16..]);
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        fs::write(&cache, &bytes).unwrap();
        let opened = open_or_build(&cache, &inputs, "", || read(&path)).unwrap();
        if bytes != valid && !fix_checksum {
            let is_cache = !bytes.is_empty()
                && (bytes.starts_with(b"vlpindex") || b"vlpindex".starts_with(&bytes));
            let is_expected = match &opened.state {
                CacheState::Rebuilt(_) => is_cache,
                CacheState::NotWritten(_) => !is_cache && fs::read(&cache).unwrap() == bytes,
                _ => false,
            };
            prop_assert!(is_expected, "{}", opened.state);
        }
        for index in 0..opened.source.len() {
            let _ = (opened.source.load(index), opened.source.captions(index), opened.source.label(index));
        }
        // The rebuilt cache is complete.
        if matches!(opened.state, CacheState::Rebuilt(_)) {
            prop_assert_eq!(fs::read(&cache).unwrap().len(), valid.len());
        }
    }
}
