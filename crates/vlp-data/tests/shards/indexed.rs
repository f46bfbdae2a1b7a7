//! Sets that are opened by the indices of their shards.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use vlp_data::{
    BatchPlan, BatchSampler, DataError, Examples, FileSource, Label, LabelSpace, Loader,
    LoaderConfig, NegativeFrom, ResizeRule, Source,
    shards::{
        Blob, BlobStore, Folder, IndexedShards, MANIFEST, PackOptions, ShardOptions, open,
        open_indexed, pack, verify,
    },
};

use crate::{MemoryStore, common};

pub(crate) fn open_folder(set: &Path) -> IndexedShards {
    let folder = Arc::new(Folder::open(set).unwrap());
    open_indexed(folder, &ShardOptions::default())
        .unwrap()
        .unwrap()
}

pub(crate) fn assert_equal(whole: &FileSource, indexed: &IndexedShards) {
    assert_eq!(
        (whole.name(), whole.len(), whole.labels()),
        (indexed.name(), indexed.len(), indexed.labels())
    );
    assert_eq!(whole.block_starts(), indexed.block_starts());
    let has_answers = (0..whole.len()).any(|index| whole.consensus(index).is_some());
    assert_eq!(has_answers, indexed.has_answers());
    for index in 0..whole.len() {
        indexed.prepare(index).unwrap();
        assert!(whole.load(index).unwrap() == indexed.load(index).unwrap());
        let facts = |source: &dyn Source| {
            let numbers = (
                source.key(index),
                source.file_key(index),
                source.coco_id(index),
            );
            let texts = (
                source.captions(index).unwrap(),
                source.label(index).unwrap(),
            );
            let boxes = (
                source.objects(index).unwrap(),
                source.annotated_objects(index).unwrap(),
            );
            let image = source.encoded_image(index).unwrap();
            (numbers, source.size(index), texts, boxes, image)
        };
        assert_eq!(facts(whole), facts(indexed));
        let consensus = indexed.consensus(index).unwrap();
        assert_eq!(whole.consensus(index).map(str::to_owned), consensus);
    }
    let past_the_end = indexed.load(whole.len());
    assert!(matches!(past_the_end, Err(DataError::Index { .. })));
}

/// A store that records the files that it reads.
#[derive(Debug)]
struct Recorded {
    files: MemoryStore,
    can_list: bool,
    reads: Mutex<Vec<String>>,
}

impl Recorded {
    fn new(files: MemoryStore) -> Self {
        Self {
            files,
            can_list: true,
            reads: Mutex::default(),
        }
    }

    fn take_reads(&self) -> Vec<String> {
        std::mem::take(&mut self.reads.lock().unwrap())
    }
}

impl BlobStore for Recorded {
    fn name(&self) -> &str {
        "recorded"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        match self.can_list {
            true => self.files.list(),
            false => Ok(None),
        }
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        self.files.head(name)
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        self.reads.lock().unwrap().push(name.into());
        self.files.read(name, start, len)
    }
}

/// The files of a packed set, ten samples in a shard.
fn packed(source: &dyn Source) -> MemoryStore {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    let options = PackOptions::default().with_shard_samples(10);
    pack(source, &set, &options).unwrap();
    let mut store = MemoryStore::default();
    for entry in fs::read_dir(&set).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        store.files.insert(name, fs::read(path).unwrap());
    }
    store
}

fn noise(count: usize) -> MemoryStore {
    packed(&common::source(common::samples(count, 16)))
}

fn try_open(store: Arc<Recorded>) -> Result<Option<IndexedShards>, DataError> {
    open_indexed(store, &ShardOptions::default())
}

/// Changes the manifest's entry of the second shard.
fn edit_entry(store: &mut MemoryStore, edit: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&store.files[MANIFEST]).unwrap();
    edit(&mut manifest["shards"][1]);
    let bytes = manifest.to_string().into_bytes();
    store.files.insert(MANIFEST.into(), bytes);
}

#[test]
fn indices_are_read_when_their_window_comes() {
    let store = Arc::new(Recorded::new(noise(95)));
    let source = Arc::new(try_open(store.clone()).unwrap().unwrap());
    assert_eq!((source.len(), source.block_starts().len()), (95, 10));
    assert_eq!(store.take_reads(), [MANIFEST]);
    let plan = BatchPlan::new(3, 5).with_window(10);
    let plan = plan.with_bucket_by_shape(true);
    let examples = Examples::new(source.clone(), ResizeRule::Square { side: 16 });
    let sampler = BatchSampler::new(plan, examples).unwrap();
    let (_, batch) = sampler.batch(7).unwrap();
    let mut shards: Vec<_> = batch.iter().map(|index| index / 10).collect();
    shards.sort_unstable();
    shards.dedup();
    let reads = store.take_reads();
    assert!(
        reads.len() <= 3 && reads.iter().all(|name| name.ends_with(".idx")),
        "{reads:?}"
    );
    for shard in shards {
        assert!(reads.contains(&format!("{shard:06}.idx")), "{reads:?}");
    }
    // An epoch reads each index once, and no shard.
    for step in 0..19 {
        sampler.batch(step).unwrap();
    }
    let mut all: Vec<_> = store.take_reads().into_iter().chain(reads).collect();
    all.sort();
    assert_eq!(
        all,
        (0..10).map(|n| format!("{n:06}.idx")).collect::<Vec<_>>()
    );
    source.load(42).unwrap();
    assert_eq!(store.take_reads(), ["000004.tar"]);
}

#[test]
fn streams_equal_those_of_the_whole_index() {
    let store = Arc::new(Recorded::new(noise(95)));
    let whole = open(store.clone(), ShardOptions::default()).unwrap().source;
    let plan = BatchPlan::new(3, 4).with_window(12).with_lanes(3);
    let resize = ResizeRule::Detr {
        short: vec![16, 24],
        max: 40,
    };
    let config = LoaderConfig::new(plan.with_bucket_by_shape(true), resize)
        .with_accumulate(3)
        .with_negative_from(NegativeFrom::Window);
    let stream = |source: Arc<dyn Source>, workers| {
        let mut loader = Loader::start(source, config.clone().with_workers(workers)).unwrap();
        (0..50).map(|_| loader.next().unwrap()).collect::<Vec<_>>()
    };
    let expected = stream(Arc::new(whole), 0);
    // With room for all indices, and for one.
    for (max_index_bytes, workers) in [(1 << 20, 0), (1 << 20, 3), (0, 2)] {
        let options = ShardOptions::default().with_max_index_bytes(max_index_bytes);
        let indexed = open_indexed(store.clone(), &options).unwrap().unwrap();
        assert!(
            stream(Arc::new(indexed), workers) == expected,
            "{workers} workers"
        );
    }
}

#[test]
fn threads_share_the_read_of_an_index() {
    let store = Arc::new(Recorded::new(noise(40)));
    let source = try_open(store.clone()).unwrap().unwrap();
    store.take_reads();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..40).for_each(|index| source.prepare(index).unwrap()));
        }
    });
    let mut reads = store.take_reads();
    reads.sort();
    assert_eq!(
        reads,
        (0..4).map(|n| format!("{n:06}.idx")).collect::<Vec<_>>()
    );
}

#[test]
fn missing_and_changed_indices_are_errors_with_a_remedy() {
    let name = "000001.idx";
    let other = noise(41).files[name].clone();
    type Edit = Box<dyn Fn(&mut MemoryStore)>;
    let cases: [(Edit, &str); 4] = [
        (
            Box::new(|store| drop(store.files.remove(name))),
            "no such file",
        ),
        (
            Box::new(|store| store.files.get_mut(name).unwrap().truncate(100)),
            "it has 100 bytes, index.json says",
        ),
        (
            Box::new(|store| store.files.get_mut(name).unwrap()[300] ^= 4),
            "its CRC-32C is",
        ),
        (
            // Of a set whose shards have other images.
            Box::new(move |store| {
                let bytes = store.files.get_mut(name).unwrap();
                let len = bytes.len();
                bytes.copy_from_slice(
                    &other
                        .iter()
                        .rev()
                        .cycle()
                        .take(len)
                        .copied()
                        .collect::<Vec<_>>(),
                );
            }),
            "its CRC-32C is",
        ),
    ];
    for (edit, reason) in cases {
        let mut files = noise(40);
        edit(&mut files);
        let error = verify(&files).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        let mut store = Recorded::new(files);
        // What the list of files shows is found when the set is opened.
        if !reason.contains("CRC") {
            let error = try_open(Arc::new(store)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(MANIFEST), "{error}");
            continue;
        }
        store.can_list = false;
        let source: Arc<dyn Source> = Arc::new(try_open(Arc::new(store)).unwrap().unwrap());
        let plan = BatchPlan::new(3, 5).with_window(10);
        let config = LoaderConfig::new(plan, ResizeRule::Square { side: 16 });
        let mut loader = Loader::start(source, config).unwrap();
        let error = (0..8).find_map(|_| loader.next().err()).unwrap();
        assert!(error.is_of_store(), "{error}");
        let error = error.to_string();
        for part in [
            name,
            reason,
            "copy it again",
            "remove every `index` from index.json",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    // A store that cannot list its files.
    let mut files = noise(40);
    files.files.remove(name);
    let mut store = Recorded::new(files);
    store.can_list = false;
    let source = try_open(Arc::new(store)).unwrap().unwrap();
    source.load(9).unwrap();
    let error = source.load(10).unwrap_err().to_string();
    assert!(
        error.contains("000001.idx: no such file; copy it again"),
        "{error}"
    );
    assert_eq!((source.key(10), source.size(10)), (0, (0, 0)));
}

#[test]
fn sets_without_usable_indices_are_read_as_a_whole() {
    let check = |store: MemoryStore, options: &ShardOptions| {
        let store = Arc::new(store);
        assert!(open_indexed(store.clone(), options).unwrap().is_none());
        assert_eq!(open(store, options.clone()).unwrap().source.len(), 40);
    };
    let default = ShardOptions::default();
    let mut store = noise(40);
    edit_entry(&mut store, |entry| {
        drop(entry.as_object_mut().unwrap().remove("index"))
    });
    check(store, &default);
    let mut store = noise(40);
    edit_entry(&mut store, |entry| entry["index"]["version"] = 0.into());
    check(store, &default);
    let mut store = noise(40);
    store.files.remove(MANIFEST);
    check(store, &default);
    let labels = LabelSpace {
        classes: ["cat", "dog"].map(str::to_owned).to_vec(),
        attributes: ["wet", "old"].map(str::to_owned).to_vec(),
        ..LabelSpace::default()
    };
    check(noise(40), &default.clone().with_labels(Some(labels)));
    // Shards of which the reader skips a sample have no index: two images with one id.
    let mut samples = common::samples(20, 16);
    samples[13].key = 12;
    let store = Arc::new(packed(&common::source(samples)));
    assert!(open_indexed(store.clone(), &default).unwrap().is_none());
    assert_eq!(open(store, default).unwrap().source.len(), 19);
}

#[test]
fn damaged_indices_with_a_valid_checksum_do_not_panic() {
    let mut samples = common::samples(12, 8);
    for sample in &mut samples {
        sample.captions.truncate(2);
        sample.label = Some(Label::Answers(vec!["a".into(), "b".into()]));
    }
    let files = packed(&common::source(samples));
    let index = files.files["000001.idx"].clone();
    let (mut errors, mut loaded) = (0, 0);
    for (position, mask) in (0..index.len()).flat_map(|byte| [1, 2, 0x80, 0xff].map(|m| (byte, m)))
    {
        let mut files = MemoryStore {
            files: files.files.clone(),
            ..MemoryStore::default()
        };
        let mut damaged = index.clone();
        damaged[position] ^= mask;
        let crc = crc32c::crc32c(&damaged);
        files.files.insert("000001.idx".into(), damaged);
        edit_entry(&mut files, |entry| entry["index"]["crc32c"] = crc.into());
        let source = open_indexed(Arc::new(files), &ShardOptions::default());
        let source = source.unwrap().unwrap();
        for index in 10..12 {
            let size = source.size(index);
            match source.load(index) {
                Ok(sample) => {
                    let mut objects = sample.objects.iter().flatten();
                    let in_range = |index: &usize| *index < 2;
                    assert!(
                        objects.all(|object| in_range(&object.class)
                            && object.attributes.iter().all(in_range))
                    );
                    loaded += usize::from(size == (sample.image.width, sample.image.height));
                }
                Err(_) => errors += 1,
            }
            let _ = (
                source.key(index),
                source.coco_id(index),
                source.consensus(index),
            );
        }
    }
    assert!(
        errors > 100 && loaded > 100,
        "{errors} errors, {loaded} loaded"
    );
}

/// Another value means that sets packed before cannot be read: increase the layout number of the index cache.
#[test]
fn the_layout_of_an_index_equals_the_recorded_one() {
    let mut samples = common::samples(3, 8);
    samples[1].label = Some(Label::Answers(vec!["yes".into()]));
    samples[2].label = Some(Label::Truth(true));
    let files = packed(&common::source(samples)).files;
    let index = &files["000000.idx"];
    assert_eq!((index.len(), crc32c::crc32c(index)), RECORDED);
}

const RECORDED: (usize, u32) = (745, 4_121_295_646);
