//! Shards read over loopback: from an HTTP server that truncates responses, and from an S3 server, directly and through a
//! proxy that closes connections early.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod servers;

use std::{path::Path, sync::Arc, thread, time::Duration};

use rand::Rng as _;
use servers::{RangeServer, S3Server, Truncations, proxy};
use vlp_data::{
    BatchPlan, FileSource, Image, InMemorySource, LabelSpace, Loader, LoaderConfig, ResizeRule,
    Sample, Source, rng,
    shards::{
        BlobStore, BlockCacheSize, CachedBlobStore, Folder, PackOptions, ShardOptions, open, pack,
        verify,
    },
};
use vlp_store::{ObjectBlobStore, RetryPolicy};

fn retry_policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        initial_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(20),
        timeout: Duration::from_secs(60),
    }
}

fn noise(key: u64) -> Sample {
    let mut image = Image::filled(40, 40, [0; 3]);
    rng(0, 0, key, "noise").fill_bytes(&mut image.rgb);
    Sample {
        key,
        name: format!("{key}.png"),
        image,
        second_image: None,
        captions: vec![format!("image {key}")],
        objects: None,
        label: None,
        record: None,
    }
}

/// Writes 30 images of noise to three shards in the folder `set`.
fn pack_noise(dir: &Path) -> InMemorySource {
    let samples = (0..30).map(noise).collect();
    let source = InMemorySource::new("noise", LabelSpace::default(), samples);
    let options = PackOptions::default().with_shard_samples(10);
    pack(&source, dir.join("set"), &options).unwrap();
    source
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

fn http_store(url: &str, max_attempts: u32) -> ObjectBlobStore {
    ObjectBlobStore::with_options(url, [], retry_policy(max_attempts)).unwrap()
}

fn open_shards(store: Arc<dyn BlobStore>) -> FileSource {
    open(store, ShardOptions::default()).unwrap().source
}

fn assert_equal(expected: &InMemorySource, source: &FileSource) {
    assert_eq!(source.len(), expected.len());
    for index in 0..expected.len() {
        assert_eq!(source.load(index).unwrap(), expected.load(index).unwrap());
    }
}

#[test]
fn truncated_reads_are_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let content = bytes(300_000);
    std::fs::write(dir.path().join("a.tar"), &content).unwrap();
    // With an ETag the `object_store` client resumes the read itself.
    for with_e_tag in [true, false] {
        let truncations = Truncations::new(&[70_000, 100_000]);
        let server = RangeServer::start(dir.path(), truncations.clone(), with_e_tag);
        let store = http_store(&server.url, 3);
        let blob = store.head("a.tar").unwrap().unwrap();
        assert_eq!(blob.bytes, 300_000);
        let read = store.read("a.tar", 1_000, 280_000).unwrap();
        assert!(read == content[1_000..281_000]);
        assert_eq!(truncations.remaining(), 0);
        let requests = server.ranges();
        assert_eq!(requests.len(), 3, "{requests:?}");
        assert_eq!(requests[0], (1_000, 281_000));
        // Each request starts where the previous response ended.
        assert!(
            requests[1].0 > 1_000 && requests[2].0 > requests[1].0,
            "{requests:?}"
        );
        assert_eq!(requests[2].1, 281_000);
    }
}

#[test]
fn failed_reads_report_object_range_and_attempts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.tar"), bytes(300_000)).unwrap();
    // The first response has 5,000 bytes, all others none.
    let mut lengths = vec![0; 50];
    lengths[0] = 5_000;
    let server = RangeServer::start(dir.path(), Truncations::new(&lengths), false);
    let store = http_store(&server.url, 3);
    let error = store.read("a.tar", 7, 200_000).unwrap_err().to_string();
    let details = [
        &format!("{}/a.tar", server.url),
        "received 5000 bytes of 7 to 200007 in 4 attempts",
    ];
    assert!(
        details.iter().all(|detail| error.contains(*detail)),
        "{error}"
    );
}

#[test]
fn an_object_that_changes_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    let server = RangeServer::start(dir.path(), Truncations::new(&[]), true);
    let other_server = RangeServer::start(dir.path(), Truncations::new(&[]), false);
    for (url, len) in [(&server.url, 50_000), (&other_server.url, 60_000)] {
        std::fs::write(&path, bytes(50_000)).unwrap();
        let store = http_store(url, 3);
        store.read("a.tar", 0, 10_000).unwrap();
        store.read("a.tar", 10_000, 10_000).unwrap();
        let mut changed = bytes(len);
        changed[49_999] += 1;
        std::fs::write(&path, changed).unwrap();
        for error in [
            store.read("a.tar", 20_000, 10_000).err(),
            store.head("a.tar").err(),
        ] {
            let error = error.unwrap();
            assert!(error.is_of_store(), "{error}");
            let error = error.to_string();
            let start = format!("{url}/a.tar: changed while it was being read, from 50000 bytes");
            assert!(error.starts_with(&start), "{error}");
            assert!(error.contains(&format!("to {len} bytes")), "{error}");
        }
        // Whoever starts anew reads it.
        http_store(url, 3).read("a.tar", 0, len).unwrap();
    }
}

#[test]
fn a_store_that_does_not_answer_is_an_error_in_time() {
    // Connections are accepted and never answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let policy = RetryPolicy {
        timeout: Duration::from_secs(1),
        ..retry_policy(3)
    };
    let store = ObjectBlobStore::with_options(&url, [], policy).unwrap();
    let error = store.read("a.tar", 0, 10).unwrap_err();
    assert!(error.is_of_store(), "{error}");
    let error = error.to_string();
    let name = format!("{url}/a.tar: received 0 bytes of 0 to 10");
    assert!(
        error.contains(&name) && error.contains("retry_timeout: 1s"),
        "{error}"
    );
}

#[test]
fn http_shards_are_found_through_the_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let samples = pack_noise(dir.path());
    let server = RangeServer::start(&dir.path().join("set"), Truncations::new(&[]), true);
    let store = Arc::new(http_store(&server.url, 2));
    assert!(store.list().unwrap().is_none());
    let cached = Arc::new(CachedBlobStore::new(store.clone(), BlockCacheSize::default()).unwrap());
    assert_equal(&samples, &open_shards(cached.clone()));
    // index.json and three shards of one block each.
    assert_eq!(cached.fetched(), 4);
    assert!(verify(store.as_ref()).unwrap() > 10_000);
    assert!(store.head("no.tar").unwrap().is_none());
    std::fs::remove_file(dir.path().join("set/index.json")).unwrap();
    let error = open(store, ShardOptions::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("cannot be listed"), "{error}");
}

#[test]
fn threads_read_concurrently() {
    let dir = tempfile::tempdir().unwrap();
    let content = bytes(500_000);
    std::fs::write(dir.path().join("a.tar"), &content).unwrap();
    let server = RangeServer::start(dir.path(), Truncations::new(&[1_000; 5]), true);
    let store = http_store(&server.url, 9);
    thread::scope(|scope| {
        for thread_index in 0..8_usize {
            let (store, content) = (&store, &content);
            scope.spawn(move || {
                for step in 0..5 {
                    let start = thread_index * 50_000 + step * 1_000;
                    let read = store.read("a.tar", start as u64, 90_000).unwrap();
                    assert!(read == content[start..start + 90_000]);
                }
            });
        }
    });
}

#[test]
fn file_urls_are_read_and_invalid_urls_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let samples = pack_noise(dir.path());
    let set = dir.path().join("set");
    let url = format!("file://{}", set.display());
    assert_equal(
        &samples,
        &open_shards(vlp_store::open(&url, BlockCacheSize::default()).unwrap()),
    );
    let path = set.display().to_string();
    assert_equal(
        &samples,
        &open_shards(vlp_store::open(&path, BlockCacheSize::default()).unwrap()),
    );
    let file_store = ObjectBlobStore::open(&url).unwrap();
    let folder = Folder::open(&set).unwrap();
    let names = |store: &dyn BlobStore| -> Vec<(String, u64)> {
        let blobs = store.list().unwrap().unwrap();
        blobs
            .into_iter()
            .map(|blob| (blob.name, blob.bytes))
            .collect()
    };
    assert_eq!(names(&file_store), names(&folder));
    for url in [
        "ftp://host/set",
        "s3:bucket",
        "nothing://",
        "file://host/set",
    ] {
        let error = ObjectBlobStore::open(url).err().unwrap().to_string();
        assert!(error.contains(url), "{error}");
    }
    let error = file_store
        .read("000000.tar", 0, 1 << 30)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("000000.tar") && error.contains("of 0 to 1073741824"),
        "{error}"
    );
}

#[test]
fn shards_of_any_name_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "a b.tar",
        "c#1.tar",
        "d[2].tar",
        "e%20.tar",
        "f~.tar",
        "g{3}.tar",
        "h?*.tar",
        "\u{e9}.tar",
    ];
    for name in names {
        std::fs::write(dir.path().join(name), name).unwrap();
    }
    let store = ObjectBlobStore::open(&format!("file://{}", dir.path().display())).unwrap();
    let blobs = store.list().unwrap().unwrap();
    let listed: Vec<&str> = blobs.iter().map(|blob| blob.name.as_str()).collect();
    assert_eq!(listed, names);
    for blob in &blobs {
        assert_eq!(store.head(&blob.name).unwrap().as_ref(), Some(blob));
        let bytes = store.read(&blob.name, 0, blob.bytes as usize).unwrap();
        assert_eq!(bytes, blob.name.as_bytes());
    }
}

/// `None` if the server is not installed; `scripts/s3-server` does that.
fn s3() -> Option<S3Server> {
    let server = S3Server::start();
    if let Err(reason) = &server {
        eprintln!("SKIPPED: {reason}");
    }
    server.ok()
}

#[test]
fn s3_shards_equal_local_shards() {
    let Some(server) = s3() else { return };
    let dir = tempfile::tempdir().unwrap();
    let samples = pack_noise(dir.path());
    server.put("some-bucket", "a/set", &dir.path().join("set"));
    let s3_store = |endpoint: &str| {
        let options = server.options(endpoint);
        ObjectBlobStore::with_options("s3://some-bucket/a/set/", options, retry_policy(5)).unwrap()
    };
    let direct = Arc::new(s3_store(&server.endpoint));
    let names: Vec<String> = (direct.list().unwrap().unwrap().into_iter())
        .map(|blob| blob.name)
        .collect();
    assert_eq!(
        names,
        ["000000.tar", "000001.tar", "000002.tar", "index.json"]
    );
    let local = Folder::open(dir.path().join("set")).unwrap();
    for name in &names {
        let len = local.head(name).unwrap().unwrap().bytes as usize;
        assert!(direct.read(name, 0, len).unwrap() == local.read(name, 0, len).unwrap());
    }
    assert!(direct.head("none").unwrap().is_none());
    assert_equal(&samples, &open_shards(direct.clone()));

    // Two connections that close after 20,000 bytes.
    let truncations = Truncations::new(&[20_000, 20_000]);
    let endpoint = proxy(&server.endpoint, truncations.clone());
    let proxied = s3_store(&endpoint);
    let len = local.head("000001.tar").unwrap().unwrap().bytes as usize;
    assert!(len > 40_000, "{len}");
    let read = proxied.read("000001.tar", 0, len).unwrap();
    assert!(read == local.read("000001.tar", 0, len).unwrap());
    assert_eq!(truncations.remaining(), 0);

    // The loader's stream, also from the middle of a shard.
    let cached = CachedBlobStore::new(direct, BlockCacheSize::default()).unwrap();
    let remote: Arc<dyn Source> = Arc::new(open_shards(Arc::new(cached)));
    let local: Arc<dyn Source> = Arc::new(open_shards(Arc::new(local)));
    let stream = |source: &Arc<dyn Source>, workers, start_step| {
        let plan = BatchPlan::new(1, 4)
            .with_bucket_by_shape(true)
            .with_window(8);
        let config = LoaderConfig::new(plan, ResizeRule::Square { side: 16 })
            .with_workers(workers)
            .with_start_step(start_step);
        let mut loader = Loader::start(source.clone(), config).unwrap();
        (start_step..14)
            .map(|_| loader.next().unwrap())
            .collect::<Vec<_>>()
    };
    let batches = stream(&local, 0, 0);
    assert_eq!(stream(&remote, 3, 0), batches);
    assert_eq!(stream(&remote, 2, 5), batches[5..]);
    // Errors name the URL.
    let options = server.options(&server.endpoint);
    let missing =
        ObjectBlobStore::with_options("s3://no-such-bucket/a", options, retry_policy(2)).unwrap();
    let error = missing.list().unwrap_err().to_string();
    assert!(error.contains("s3://no-such-bucket/a"), "{error}");
}
