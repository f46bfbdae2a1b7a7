//! The cache of indices: read back equal, built anew whenever it must be, never an error.

use std::{fs, path::Path, sync::Arc, time::Duration};

use proptest::prelude::*;
use vlp_data::{
    CocoSource, DataError, FileSource, Scenes, ScenesConfig, Source,
    coco::CocoOptions,
    read::{
        GenericOptions,
        cache::{State, open_or_build},
        generic,
    },
    shards::{Folder, PackOptions, ShardOptions, open, pack},
};

fn scenes(count: usize) -> Scenes {
    Scenes::new(ScenesConfig {
        count,
        ..ScenesConfig::default()
    })
    .unwrap()
}

fn same(a: &dyn Source, b: &dyn Source) {
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

/// A file of two records, one of them wrong.
fn file(dir: &Path) -> std::path::PathBuf {
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
fn what_is_read_back_is_what_was_built() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let cache = dir.path().join("index");
    let inputs = [path.clone()];
    let open = |options: &str| open_or_build(&cache, &inputs, options, || read(&path)).unwrap();
    let built = open("one");
    assert_eq!(built.state, State::Built("there was no cache".into()));
    let back = open_or_build(&cache, &inputs, "one", || panic!("it is read")).unwrap();
    assert_eq!(back.state, State::Read);
    same(&built.source, &back.source);
    assert_eq!(built.source.report(), back.source.report());
    assert_eq!(built.source.consensus(0), back.source.consensus(0));
    assert_eq!(
        open("two").state,
        State::Built("the cache was written with other options".into())
    );
    // Two inputs where there was one.
    let more = [path.clone(), dir.path().to_owned()];
    let opened = open_or_build(&cache, &more, "two", || read(&path)).unwrap();
    assert!(matches!(opened.state, State::Built(reason) if reason.contains("number of files")));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        3,
        "nothing is left beside it"
    );
}

#[test]
fn a_changed_input_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let cache = dir.path().join("index");
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let open = || {
        open_or_build(&cache, &[path.clone(), pictures.clone()], "", || {
            read(&path)
        })
        .unwrap()
    };
    open();
    assert_eq!(open().state, State::Read);
    let changed = |state: State, name: &str| {
        assert!(
            matches!(&state, State::Built(reason) if reason.contains(name) && reason.contains("has changed")),
            "{state}"
        );
    };
    // The same length and time, another content.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("two", "six")).unwrap();
    let handle = fs::File::options().write(true).open(&path).unwrap();
    handle.set_modified(before).unwrap();
    let opened = open();
    changed(opened.state, "all.jsonl");
    assert_eq!(opened.source.captions(0).unwrap()[1], "six");
    handle
        .set_modified(before + Duration::from_secs(7))
        .unwrap();
    changed(open().state, "all.jsonl");
    // A folder where something has come.
    let folder = fs::File::open(&pictures).unwrap();
    folder
        .set_modified(before - Duration::from_secs(7))
        .unwrap();
    changed(open().state, "pictures");
    assert_eq!(open().state, State::Read);
    fs::remove_file(&path).unwrap();
    let error = open_or_build(&cache, std::slice::from_ref(&path), "", || {
        panic!("no input")
    });
    assert!(error.err().unwrap().to_string().contains("all.jsonl"));
}

#[test]
fn what_cannot_be_written_is_only_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let nowhere = dir.path().join("no folder/index");
    let opened = open_or_build(&nowhere, std::slice::from_ref(&path), "", || read(&path)).unwrap();
    assert!(
        matches!(opened.state, State::Unwritten(_)),
        "{}",
        opened.state
    );
    assert_eq!(opened.source.len(), 1);
    // Errors of building are errors.
    let failing = || Err(DataError::Worker("no".into()));
    let error = open_or_build(&nowhere, &[path], "", failing);
    assert!(error.is_err());
}

#[test]
fn coco_and_shards_have_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    scenes(12).write_to(dir.path()).unwrap();
    let options = || CocoOptions {
        split: Some("train".into()),
        ..CocoOptions::default()
    };
    let plain = CocoSource::open(dir.path(), options()).unwrap();
    let cache = dir.path().join("coco.index");
    let (built, state) = CocoSource::open_cached(dir.path(), options(), &cache).unwrap();
    assert!(matches!(state, State::Built(_)));
    let (back, state) = CocoSource::open_cached(dir.path(), options(), &cache).unwrap();
    assert_eq!(state, State::Read);
    for source in [&built, &back] {
        same(&plain, source);
        assert_eq!(source.category_id(1), plain.category_id(1));
    }
    let other = CocoOptions {
        name: Some("other".into()),
        ..options()
    };
    let (other, state) = CocoSource::open_cached(dir.path(), other, &cache).unwrap();
    assert_eq!(
        (other.name(), matches!(state, State::Built(_))),
        ("other", true)
    );

    let pack_options = PackOptions {
        shard_samples: 5,
        ..PackOptions::default()
    };
    pack(&plain, &set, &pack_options).unwrap();
    let shards = || {
        let options = ShardOptions {
            index: Some(dir.path().join("set.index")),
            ..ShardOptions::default()
        };
        open(Arc::new(Folder::open(&set).unwrap()), options).unwrap()
    };
    assert!(matches!(shards().state, State::Built(_)));
    let back = shards();
    assert_eq!(back.state, State::Read);
    same(&plain, &back.source);
    assert_eq!(back.source.blocks(), [0, 5, 10]);
    let shard = fs::File::options()
        .write(true)
        .open(set.join("000001.tar"))
        .unwrap();
    shard.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert!(
        matches!(shards().state, State::Built(reason) if reason.contains("000001.tar has changed"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    // 400 damaged caches, half of them with a sum that fits: then whatever is read must be sound.
    #[test]
    fn a_damaged_cache_is_built_anew(at in any::<prop::sample::Index>(), byte: u8, cut in prop::option::weighted(0.3, any::<prop::sample::Index>()), mended: bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        let cache = dir.path().join("index");
        let inputs = [path.clone()];
        open_or_build(&cache, &inputs, "", || read(&path)).unwrap();
        let mut bytes = fs::read(&cache).unwrap();
        let before = bytes.clone();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if mended && bytes.len() > 16 {
            let crc = crc32c::crc32c(&bytes[16..]);
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        fs::write(&cache, &bytes).unwrap();
        let opened = open_or_build(&cache, &inputs, "", || read(&path)).unwrap();
        if bytes != before && !mended {
            prop_assert!(matches!(opened.state, State::Built(_)), "{}", opened.state);
        }
        for index in 0..opened.source.len() {
            let _ = (opened.source.load(index), opened.source.captions(index), opened.source.label(index));
        }
        // Whatever it was, there is a good one now.
        if matches!(opened.state, State::Built(_)) {
            prop_assert_eq!(fs::read(&cache).unwrap().len(), before.len());
        }
    }
}
