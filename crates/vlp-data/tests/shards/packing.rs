//! Whatever is packed comes back as it was.

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc};

use tempfile::TempDir;
use vlp_data::{
    CocoSource, DataError, FileSource, Limits, Mix, Scenes, ScenesConfig, ScenesTask, Source,
    Split, Task,
    coco::CocoOptions,
    read::{GenericOptions, SnliVeText, VqaFiles, generic, nlvr2, snli_ve, vqa},
    shards::{Folder, MANIFEST, PackOptions, ShardOptions, open, pack, verify},
};

fn config(count: usize) -> ScenesConfig {
    ScenesConfig {
        count,
        split: Split::Train,
        ..ScenesConfig::default()
    }
}

fn scenes(count: usize) -> Scenes {
    Scenes::new(config(count)).unwrap()
}

fn task(count: usize, task: Task) -> ScenesTask {
    ScenesTask::new(config(count), task).unwrap()
}

fn small() -> PackOptions {
    PackOptions {
        shard_samples: 7,
        threads: NonZeroUsize::new(3).unwrap(),
        ..PackOptions::default()
    }
}

fn read(dir: &Path) -> FileSource {
    let place = Arc::new(Folder::open(dir).unwrap());
    open(place, ShardOptions::default()).unwrap().source
}

/// Packs, reads back, and compares all that a source tells. Samples that share a picture share the name that the first of
/// them has: of tasks over scenes, where it is the question's, it is not compared.
fn round(source: &dyn Source, names: bool) -> (TempDir, FileSource) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("set");
    let report = pack(source, &out, &small()).unwrap();
    assert_eq!(report.faults, []);
    assert_eq!(report.samples, source.len() as u64);
    let back = read(&out);
    assert_eq!(back.report().faults, []);
    assert_eq!(back.report().left_out, 0);
    assert_eq!((back.len(), back.name()), (source.len(), source.name()));
    assert_eq!(back.labels(), source.labels());
    for index in 0..source.len() {
        let (mut got, wanted) = (back.load(index).unwrap(), source.load(index).unwrap());
        if !names {
            got.name.clone_from(&wanted.name);
        }
        assert!(got == wanted, "sample {index}: {}", got.name);
        assert_eq!(back.size(index), source.size(index));
        assert_eq!(back.key(index), source.key(index));
        assert_eq!(back.coco_id(index), source.coco_id(index));
        assert_eq!(back.label(index).unwrap(), source.label(index).unwrap());
        if let Some(before) = source.encoded(index).unwrap() {
            assert_eq!(
                back.encoded(index).unwrap(),
                Some(before),
                "bytes as they were"
            );
        }
    }
    let blocks = back.blocks();
    assert_eq!(blocks.len(), report.shards.len());
    (dir, back)
}

#[test]
fn every_kind_of_source_comes_back() {
    let files = tempfile::tempdir().unwrap();
    let dir = files.path();
    let some = scenes(20);
    some.write_to(dir).unwrap();
    let limits = Limits::default();
    let options = CocoOptions {
        split: Some("train".into()),
        ..CocoOptions::default()
    };
    let coco = CocoSource::open(dir, options).unwrap();
    let (_set, back) = round(&coco, true);
    assert!(back.coco_id(0).is_some());
    let asked = vqa(&VqaFiles::find(dir.join("vqa"), "train").unwrap(), &limits).unwrap();
    let (_set, back) = round(&asked, true);
    assert!((0..asked.len()).all(|index| back.consensus(index) == asked.consensus(index)));
    assert!(
        back.report().images < asked.len(),
        "questions share their picture"
    );
    let nlvr = dir.join("nlvr2");
    round(
        &nlvr2(nlvr.join("train.json"), &nlvr, &limits).unwrap(),
        true,
    );
    let snli = dir.join("snli_ve");
    let pictures = snli.join("flickr30k_images");
    round(
        &snli_ve(
            snli.join("snli_ve_train.jsonl"),
            pictures,
            SnliVeText::default(),
            &limits,
        )
        .unwrap(),
        true,
    );
}

#[test]
fn generated_scenes_and_tasks_come_back() {
    round(&scenes(15), true);
    for task in [Task::Vqa, Task::Nlvr2, Task::SnliVe] {
        round(&self::task(9, task), false);
    }
}

#[test]
fn odd_records_come_back() {
    let dir = tempfile::tempdir().unwrap();
    for (name, side) in [("a.png", 31), ("b.png", 17)] {
        fs::write(dir.path().join(name), crate::png(side, 23, 1)).unwrap();
    }
    // EXIF: the one annotated picture is as it is stored, the other upright.
    let exif = fs::read("tests/data/exif6.jpg").unwrap();
    fs::write(dir.path().join("stored.jpg"), &exif).unwrap();
    fs::write(dir.path().join("upright.jpg"), &exif).unwrap();
    let upright = vlp_data::decode_picture(&exif, "exif", &Limits::default()).unwrap();
    let lines = format!(
        r#"
        {{"image": "a.png", "captions": ["one", "two"], "boxes": [{{"bbox": [0.1, 0.2, 7.7, 3.3], "label": "dog", "attributes": ["wet", "old"], "area": 0.3, "crowd": true}}, {{"bbox": [30.9, 0, 0.1, 23], "label": "cat"}}], "image_id": 18446744073709551615, "coco_id": 5}}
        {{"image": "b.png", "caption": "no boxes", "boxes": []}}
        {{"image": "a.png", "question": "what is it?", "answer": "a dog", "id": 17, "answer_type": "yes/no", "question_type": "what is"}}
        {{"image": "a.png", "question": "who is it?", "answers": ["Rex"], "consensus": "rex"}}
        {{"image": "b.png", "image2": "a.png", "text": "é \" \\ 🦀", "label": "neutral"}}
        {{"image": "stored.jpg", "caption": "stored", "width": {}, "height": {}, "boxes": [{{"bbox": [1, 1, 2, 2], "label": "dog"}}]}}
        {{"image": "upright.jpg", "caption": "upright"}}
        "#,
        upright.height, upright.width
    );
    let lines: Vec<&str> = lines.lines().map(str::trim).collect();
    let file = dir.path().join("all.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let source = generic(&file, GenericOptions::default()).unwrap();
    assert_eq!(
        (source.len(), source.report().left_out),
        (7, 0),
        "{:?}",
        source.report()
    );
    let (_set, back) = round(&source, true);
    assert_eq!(back.consensus(3), Some("rex"));
    assert_ne!(back.size(5), back.size(6));
}

#[test]
fn packing_twice_gives_the_same_bytes_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let files = |name: &str, options: &PackOptions| {
        let out = dir.path().join(name);
        pack(&scenes(40), &out, options).unwrap();
        let mut all: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        all.sort();
        all
    };
    let one = PackOptions {
        threads: NonZeroUsize::MIN,
        ..small()
    };
    let first = files("one", &one);
    assert_eq!(first.len(), 7, "six shards of at most 7, and the manifest");
    assert!(first == files("two", &small()));
    let bytes = PackOptions {
        shard_bytes: 20_000,
        ..PackOptions::default()
    };
    let shards = files("bytes", &bytes);
    let tars = shards.iter().filter(|(name, _)| name != MANIFEST);
    assert!(tars.clone().count() > 2 && tars.clone().all(|(_, tar)| tar.len() <= 20_000));
    assert!(!dir.path().join("one.vlp-part").exists());
    // It is not written over.
    let error = pack(&scenes(3), dir.path().join("one"), &one).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn bad_samples_are_listed_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..6 {
        let mut bytes = crate::png(8, 8, number);
        if number == 2 {
            bytes.truncate(60);
        }
        fs::write(dir.path().join(format!("{number}.png")), bytes).unwrap();
    }
    let lines: Vec<String> = (0..6)
        .map(|n| format!(r#"{{"image": "{n}.png", "caption": "picture {n}"}}"#))
        .collect();
    let file = dir.path().join("all.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let source = generic(&file, GenericOptions::default()).unwrap();
    let report = pack(&source, dir.path().join("set"), &small()).unwrap();
    assert_eq!((report.samples, report.skipped), (5, 1));
    let fault = &report.faults[0];
    assert!(
        fault.file.ends_with("2.png") && fault.record.contains("sample 2"),
        "{fault}"
    );
    let back = read(&dir.path().join("set"));
    assert_eq!(
        crate::captions(&back),
        [0, 1, 3, 4, 5].map(|n| format!("picture {n}"))
    );
    // Ids that come twice would be faults of the reader.
    let twice: Vec<_> = (0..2)
        .map(|_| vlp_data::Part::new(Arc::new(task(2, Task::Vqa))))
        .collect();
    let mix = Mix::new(twice, "twice").unwrap();
    let report = pack(&mix, dir.path().join("mix"), &small()).unwrap();
    assert_eq!(report.skipped * 2, mix.len() as u64);
    assert!(
        report.faults[0].reason.contains("occurs twice"),
        "{}",
        report.faults[0]
    );
    // All of them: no set at all.
    for number in 0..6 {
        fs::write(dir.path().join(format!("{number}.png")), b"nothing").unwrap();
    }
    let error = pack(&source, dir.path().join("none"), &small()).unwrap_err();
    assert!(error.to_string().contains("none of 6 samples"), "{error}");
    assert!(!dir.path().join("none").exists() && !dir.path().join("none.vlp-part").exists());
}

#[test]
fn a_set_that_disagrees_with_its_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    pack(&scenes(12), &set, &small()).unwrap();
    let place = || Arc::new(Folder::open(&set).unwrap());
    let read = verify(place().as_ref()).unwrap();
    let shard = set.join("000001.tar");
    let whole = fs::read(&shard).unwrap();
    assert!(read > whole.len() as u64);
    let refused = || -> DataError { open(place(), ShardOptions::default()).err().unwrap() };
    fs::write(&shard, &whole[..whole.len() - 512]).unwrap();
    let error = refused().to_string();
    let named = ["000001.tar", "index.json", &whole.len().to_string()];
    assert!(named.iter().all(|part| error.contains(part)), "{error}");
    let mut changed = whole.clone();
    changed[700] ^= 1;
    fs::write(&shard, &changed).unwrap();
    let error = verify(place().as_ref()).unwrap_err().to_string();
    assert!(
        error.contains("000001.tar") && error.contains("CRC-32C"),
        "{error}"
    );
    fs::remove_file(&shard).unwrap();
    assert!(refused().to_string().contains("index.json has it"));
    // One shard alone needs no manifest.
    let place = Arc::new(Folder::open(set.join("000000.tar")).unwrap());
    assert_eq!(
        open(place, ShardOptions::default()).unwrap().source.len(),
        7
    );
    let manifest = fs::read_to_string(set.join(MANIFEST)).unwrap();
    fs::write(
        set.join(MANIFEST),
        manifest.replace("000001.tar", "../000001.tar"),
    )
    .unwrap();
    assert!(refused().to_string().contains("no name of a shard"));
    fs::write(
        set.join(MANIFEST),
        manifest.replace("\"version\": 1", "\"version\": 2"),
    )
    .unwrap();
    assert!(refused().to_string().contains("must be vlp-shards 1"));
}
