//! A store that does not answer ends whatever reads from it: no sample is skipped for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use vlp_data::{
    BatchPlan, DataError, InMemorySource, Loader, LoaderConfig, ResizeRule, Source,
    check::{CheckOptions, check},
    shards::{
        Blob, BlobStore, BlockCacheSize, CachedBlobStore, Folder, MANIFEST, PackOptions,
        ShardOptions, open, open_indexed, pack,
    },
};

use crate::{MemoryStore, common};

/// Files that can be read until `is_down`.
#[derive(Debug)]
struct Store {
    files: MemoryStore,
    is_down: AtomicBool,
    failures: AtomicUsize,
}

impl Store {
    fn answer<T>(&self, answer: Result<T, DataError>) -> Result<T, DataError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                Err(DataError::Store {
                    source: "the store is down".into(),
                })
            }
            false => answer,
        }
    }
}

impl BlobStore for Store {
    fn name(&self) -> &str {
        "store"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        self.answer(self.files.list())
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        self.answer(self.files.head(name))
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        self.answer(self.files.read(name, start, len))
    }
}

fn source() -> InMemorySource {
    common::source(common::samples(20, 16))
}

fn files() -> MemoryStore {
    let dir = tempfile::tempdir().unwrap();
    let options = PackOptions::default().with_shard_samples(5);
    pack(&source(), dir.path().join("set"), &options).unwrap();
    let files = std::fs::read_dir(dir.path().join("set")).unwrap();
    let files = files.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    });
    MemoryStore {
        files: files.collect(),
        ..MemoryStore::default()
    }
}

/// A store that is up, and the set in it, opened by its indices and as a whole.
fn opened() -> (Arc<Store>, [Arc<dyn Source>; 2]) {
    let store = Arc::new(Store {
        files: files(),
        is_down: AtomicBool::new(false),
        failures: AtomicUsize::new(0),
    });
    let options = ShardOptions::default();
    let indexed = open_indexed(store.clone(), &options).unwrap().unwrap();
    let whole = open(store.clone(), options).unwrap().source;
    (store, [Arc::new(indexed), Arc::new(whole)])
}

#[test]
fn a_store_that_is_down_ends_loading_checking_and_packing() {
    let (store, sources) = opened();
    for source in sources {
        store.is_down.store(false, Ordering::SeqCst);
        let config = || LoaderConfig::new(BatchPlan::new(3, 5), ResizeRule::Square { side: 16 });
        let mut loader = Loader::start(source.clone(), config().with_workers(0)).unwrap();
        assert_eq!(loader.next().unwrap().examples.len(), 5);
        store.is_down.store(true, Ordering::SeqCst);
        let error = loader.next().unwrap_err();
        assert!(error.is_of_store(), "{error}");
        // Each failure takes minutes: a thread meets one or two, not one for each sample.
        store.failures.store(0, Ordering::SeqCst);
        let options = CheckOptions::default().with_threads(2);
        let error = check(&*source, &options, &|_, _| {}).unwrap_err();
        assert!(store.failures.load(Ordering::SeqCst) <= 6);
        assert_eq!(error.to_string(), "the store is down");
        let dir = tempfile::tempdir().unwrap();
        let error = pack(&*source, dir.path().join("set"), &PackOptions::default()).unwrap_err();
        assert!(error.is_of_store(), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

/// A shard that leaves a folder during a run ends it as one that leaves a store does.
#[test]
fn a_local_shard_that_cannot_be_read_is_an_error_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    pack(&source(), dir.path().join("set"), &PackOptions::default()).unwrap();
    let folder = Arc::new(Folder::open(dir.path().join("set")).unwrap());
    let options = ShardOptions::default();
    let indexed = open_indexed(folder.clone(), &options).unwrap().unwrap();
    let whole = open(folder, options).unwrap().source;
    let shard = dir.path().join("set/000000.tar");
    let sources: [Arc<dyn Source>; 2] = [Arc::new(indexed), Arc::new(whole)];
    for source in &sources {
        source.load(3).unwrap();
    }
    let half = std::fs::read(&shard).unwrap().len() as u64 / 2;
    let truncate = || {
        std::fs::File::options()
            .write(true)
            .open(&shard)?
            .set_len(half)
    };
    let remove = || std::fs::remove_file(&shard);
    for damage in [&truncate as &dyn Fn() -> std::io::Result<()>, &remove] {
        damage().unwrap();
        for source in &sources {
            for error in [
                source.load(19).unwrap_err(),
                source.encoded_image(19).unwrap_err(),
            ] {
                assert!(error.is_of_store(), "{error}");
                assert!(error.to_string().contains("000000.tar"), "{error}");
            }
        }
    }
}

#[test]
fn what_a_method_without_errors_cannot_read_is_reported_by_the_next() {
    let (store, [source, _]) = opened();
    store.is_down.store(true, Ordering::SeqCst);
    assert_eq!((source.key(7), source.size(7)), (0, (0, 0)));
    store.is_down.store(false, Ordering::SeqCst);
    let error = source.load(7).unwrap_err();
    assert_eq!(error.to_string(), "the store is down");
    assert_eq!(source.load(7).unwrap().key, self::source().key(7));
    // An index out of range is no failure of the store.
    assert_eq!(source.key(99), 0);
    source.load(7).unwrap();
}

#[test]
fn a_manifest_that_is_listed_and_missing_is_an_error() {
    #[derive(Debug)]
    struct Forgetful(MemoryStore);
    impl BlobStore for Forgetful {
        fn name(&self) -> &str {
            "store"
        }
        fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
            self.0.list()
        }
        fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
            self.0
                .head(name)
                .map(|blob| blob.filter(|_| name != MANIFEST))
        }
        fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
            self.0.read(name, start, len)
        }
    }
    let opened = open(Arc::new(Forgetful(files())), ShardOptions::default());
    let error = opened.err().unwrap().to_string();
    assert_eq!(
        error,
        "store/index.json: the store lists it, but does not have it"
    );
}

#[test]
fn a_length_that_the_store_does_not_have_is_an_error_of_the_store() {
    let cached = CachedBlobStore::new(Arc::new(files()), BlockCacheSize::default()).unwrap();
    for (name, reason) in [("none.tar", "no such file"), (MANIFEST, "were requested")] {
        let error = cached.read(name, 1 << 30, 1).unwrap_err();
        assert!(error.is_of_store(), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
