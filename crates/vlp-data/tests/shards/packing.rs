//! Packed sources are read back unchanged.

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc};

use tempfile::TempDir;
use vlp_data::{
    DataError, Entailment, FileSource, InMemorySource, Label, Limits, Mixture, Record, Sample,
    Source,
    read::{GenericOptions, generic},
    shards::{Folder, MANIFEST, PackOptions, ShardOptions, open, pack, verify},
};

use crate::common;

fn noise(count: usize) -> InMemorySource {
    common::source(common::samples(count, 32))
}

/// Samples with a label and a record id each.
fn labeled(count: usize, label: impl Fn(usize) -> Label) -> Vec<Sample> {
    let mut samples = common::samples(count, 8);
    for (number, sample) in samples.iter_mut().enumerate() {
        sample.captions.truncate(1);
        sample.label = Some(label(number));
        sample.record = Some(Record {
            id: number.to_string(),
            ..Record::default()
        });
    }
    samples
}

fn answers(number: usize) -> Label {
    Label::Answers(vec![format!("answer {number}"); 10])
}

fn small_shards() -> PackOptions {
    PackOptions::default()
        .with_shard_samples(7)
        .with_threads(NonZeroUsize::new(3).unwrap())
}

fn read(dir: &Path) -> FileSource {
    let folder = Arc::new(Folder::open(dir).unwrap());
    open(folder, ShardOptions::default()).unwrap().source
}

/// Packs a source, reads it back, and compares everything that the two return.
fn check_round_trip(source: &dyn Source) -> (TempDir, FileSource) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("set");
    let report = pack(source, &out, &small_shards()).unwrap();
    assert_eq!(report.skipped_records, []);
    assert_eq!(report.samples, source.len() as u64);
    let shards = read(&out);
    assert_eq!(shards.report().skipped_records, []);
    assert_eq!(shards.report().skipped, 0);
    assert_eq!((shards.len(), shards.name()), (source.len(), source.name()));
    assert_eq!(shards.labels(), source.labels());
    for index in 0..source.len() {
        let (read, packed) = (shards.load(index).unwrap(), source.load(index).unwrap());
        assert!(read == packed, "sample {index}: {}", read.name);
        assert_eq!(shards.size(index), source.size(index));
        assert_eq!(shards.key(index), source.key(index));
        assert_eq!(shards.coco_id(index), source.coco_id(index));
        assert_eq!(shards.label(index).unwrap(), source.label(index).unwrap());
        if let Some(objects) = source.annotated_objects(index).unwrap() {
            assert_eq!(shards.annotated_objects(index).unwrap(), Some(objects));
        }
        if let Some(encoded) = source.encoded_image(index).unwrap() {
            assert_eq!(
                shards.encoded_image(index).unwrap(),
                Some(encoded),
                "image files differ"
            );
        }
    }
    let blocks = shards.block_starts();
    assert_eq!(blocks.len(), report.shards.len());
    crate::indexed::assert_equal(&shards, &crate::indexed::open_folder(&out));
    (dir, shards)
}

#[test]
fn in_memory_samples_round_trip() {
    check_round_trip(&noise(15));
    check_round_trip(&common::source(labeled(9, answers)));
    let mut pairs = labeled(9, |number| Label::Truth(number % 2 == 0));
    for sample in &mut pairs {
        sample.second_image = Some(sample.image.clone());
        sample.objects = None;
    }
    check_round_trip(&common::source(pairs));
    let entailment = |number: usize| Label::Entailment(Entailment::ALL[number % 3]);
    check_round_trip(&common::source(labeled(9, entailment)));
}

#[test]
fn records_of_every_kind_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    for (name, side) in [("a.png", 31), ("b.png", 17)] {
        fs::write(dir.path().join(name), crate::png(side, 23, 1)).unwrap();
    }
    // Boxes of one image refer to the stored orientation; the other image has only a caption.
    let exif = fs::read("tests/data/exif6.jpg").unwrap();
    fs::write(dir.path().join("stored.jpg"), &exif).unwrap();
    fs::write(dir.path().join("upright.jpg"), &exif).unwrap();
    let upright = vlp_data::decode_image(&exif, "exif", &Limits::default()).unwrap();
    let lines = format!(
        r#"
        {{"image": "a.png", "captions": ["one", "two"], "boxes": [{{"bbox": [0.1, 0.2, 7.7, 3.3], "label": "dog", "attributes": ["wet", "old"], "area": 0.3, "crowd": true}}, {{"bbox": [30.9, 0, 0.1, 23], "label": "cat"}}, {{"bbox": [-3.3, 20.1, 9.7, 50.3], "label": "cat"}}], "image_id": 18446744073709551615, "coco_id": 5}}
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
        (source.len(), source.report().skipped),
        (7, 0),
        "{:?}",
        source.report()
    );
    let (_set, shards) = check_round_trip(&source);
    assert_eq!(shards.consensus(3), Some("rex"));
    assert_ne!(shards.size(5), shards.size(6));
}

#[test]
fn packing_is_deterministic_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let pack_noise = |name: &str, options: &PackOptions| {
        let out = dir.path().join(name);
        pack(&noise(40), &out, options).unwrap();
        let mut files: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let single_thread = small_shards().with_threads(NonZeroUsize::MIN);
    let first = pack_noise("one", &single_thread);
    assert_eq!(
        first.len(),
        13,
        "six shards of at most 7 with an index each, and the manifest"
    );
    assert!(first == pack_noise("two", &small_shards()));
    let most_threads = small_shards().with_threads(NonZeroUsize::MAX);
    assert!(first == pack_noise("most", &most_threads));
    let small_bytes = PackOptions::default().with_shard_bytes(20_000);
    let shards = pack_noise("bytes", &small_bytes);
    let tars = (shards.iter()).filter(|(name, _)| name.to_str().unwrap().ends_with(".tar"));
    assert!(tars.clone().count() > 2 && tars.clone().all(|(_, tar)| tar.len() <= 20_000));
    assert!(!has_temporary_folder(dir.path()));
    // Existing sets are not overwritten.
    let error = pack(&noise(3), dir.path().join("one"), &single_thread).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn unreadable_samples_are_skipped_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..6 {
        let mut bytes = crate::png(8, 8, number);
        if number == 2 {
            bytes.truncate(60);
        }
        fs::write(dir.path().join(format!("{number}.png")), bytes).unwrap();
    }
    let lines: Vec<String> = (0..6)
        .map(|n| format!(r#"{{"image": "{n}.png", "caption": "image {n}"}}"#))
        .collect();
    let file = dir.path().join("all.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let source = generic(&file, GenericOptions::default()).unwrap();
    let report = pack(&source, dir.path().join("set"), &small_shards()).unwrap();
    assert_eq!((report.samples, report.skipped), (5, 1));
    let skipped = &report.skipped_records[0];
    assert!(
        skipped.file.ends_with("2.png") && skipped.record.contains("sample 2"),
        "{skipped}"
    );
    let shards = read(&dir.path().join("set"));
    assert_eq!(
        crate::captions(&shards),
        [0, 1, 3, 4, 5].map(|n| format!("image {n}"))
    );
    // The reader would reject duplicate ids.
    let duplicates: Vec<_> = (0..2)
        .map(|_| vlp_data::MixtureComponent::new(Arc::new(common::source(labeled(2, answers)))))
        .collect();
    let mix = Mixture::new(duplicates, "duplicates").unwrap();
    let report = pack(&mix, dir.path().join("mix"), &small_shards()).unwrap();
    assert_eq!(report.skipped * 2, mix.len() as u64);
    assert!(
        report.skipped_records[0].reason.contains("occurs twice"),
        "{}",
        report.skipped_records[0]
    );
    // Without a valid sample no set is written.
    for number in 0..6 {
        fs::write(dir.path().join(format!("{number}.png")), b"nothing").unwrap();
    }
    let error = pack(&source, dir.path().join("none"), &small_shards()).unwrap_err();
    assert!(error.to_string().contains("none of 6 samples"), "{error}");
    assert!(!dir.path().join("none").exists() && !has_temporary_folder(dir.path()));
}

fn has_temporary_folder(dir: &Path) -> bool {
    let mut entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    entries.any(|name| name.to_string_lossy().ends_with(".partial"))
}

#[test]
fn folders_of_other_processes_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let id = std::process::id();
    let others = [format!("set.{id}-0.partial"), ".set.partial".to_owned()];
    for other in &others {
        fs::create_dir(dir.path().join(other)).unwrap();
        fs::write(dir.path().join(other).join("000000.tar"), b"theirs").unwrap();
    }
    pack(&noise(3), dir.path().join("set"), &small_shards()).unwrap();
    for other in &others {
        let theirs = fs::read(dir.path().join(other).join("000000.tar")).unwrap();
        assert_eq!(theirs, b"theirs");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn sets_that_differ_from_their_manifest_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    pack(&noise(12), &set, &small_shards()).unwrap();
    let store = || Arc::new(Folder::open(&set).unwrap());
    let verified_bytes = verify(store().as_ref()).unwrap();
    let shard = set.join("000001.tar");
    let whole = fs::read(&shard).unwrap();
    assert!(verified_bytes > whole.len() as u64);
    let open_error = || -> DataError { open(store(), ShardOptions::default()).err().unwrap() };
    fs::write(&shard, &whole[..whole.len() - 512]).unwrap();
    let error = open_error().to_string();
    let details = ["000001.tar", "index.json", &whole.len().to_string()];
    assert!(
        details.iter().all(|detail| error.contains(detail)),
        "{error}"
    );
    let mut corrupt = whole.clone();
    corrupt[700] ^= 1;
    fs::write(&shard, &corrupt).unwrap();
    let error = verify(store().as_ref()).unwrap_err().to_string();
    assert!(
        error.contains("000001.tar") && error.contains("CRC-32C"),
        "{error}"
    );
    fs::remove_file(&shard).unwrap();
    assert!(open_error().to_string().contains("index.json lists it"));
    // A single shard needs no manifest.
    let shard_file = Arc::new(Folder::open(set.join("000000.tar")).unwrap());
    assert_eq!(
        open(shard_file, ShardOptions::default())
            .unwrap()
            .source
            .len(),
        7
    );
    let manifest = fs::read_to_string(set.join(MANIFEST)).unwrap();
    fs::write(
        set.join(MANIFEST),
        manifest.replace("000001.tar", "../000001.tar"),
    )
    .unwrap();
    assert!(
        open_error()
            .to_string()
            .contains("not a valid name of a shard")
    );
    fs::write(
        set.join(MANIFEST),
        manifest.replace("\"version\": 1", "\"version\": 2"),
    )
    .unwrap();
    assert!(open_error().to_string().contains("must be vlp-shards 1"));
}

/// As many images of NLVR2 are; the members have the names of their formats.
#[test]
fn images_in_other_formats_under_png_names_are_packed() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let dir = tempfile::tempdir().unwrap();
    let files = ["animated.gif", "palette.bmp", "bitmap.ico"];
    for (number, file) in files.iter().enumerate() {
        let renamed = dir.path().join(format!("{number}.png"));
        fs::copy(data.join(file), renamed).unwrap();
    }
    let lines = ["0.png", "1.png"].map(|left| {
        let (image, image2) = (left, "2.png");
        let record =
            serde_json::json!({ "image": image, "image2": image2, "text": "two", "label": true });
        record.to_string()
    });
    let file = dir.path().join("own.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let source = generic(file, GenericOptions::default()).unwrap();
    assert_eq!((source.size(0), source.size(1)), ((24, 16), (24, 16)));
    let right = source.load(0).unwrap().second_image.unwrap();
    assert_eq!((right.width, right.height), (40, 40));
    let set = dir.path().join("set");
    let report = pack(&source, &set, &small_shards()).unwrap();
    assert_eq!(report.skipped_records, []);
    let shards = read(&set);
    assert_eq!((shards.len(), shards.report().skipped), (2, 0));
    for index in 0..2 {
        let (packed, read) = (source.load(index).unwrap(), shards.load(index).unwrap());
        assert_eq!(
            (read.image, read.second_image),
            (packed.image, packed.second_image)
        );
    }
    let archive = fs::read(set.join("000000.tar")).unwrap();
    for name in [
        "000000000.gif",
        "000000000.right.ico",
        "000000001.bmp",
        "000000001.right.ico",
    ] {
        let has_member = archive
            .windows(name.len())
            .any(|bytes| bytes == name.as_bytes());
        assert!(has_member, "{name}");
    }
}
