//! Shards read over loopback: from a server of byte ranges that cuts its answers off, and from an S3 server, straight and
//! through a proxy that cuts connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod servers;

use std::{path::Path, sync::Arc, thread, time::Duration};

use servers::{Cuts, Ranges, S3, proxy};
use vlp_data::{
    FileSource, Loader, LoaderConfig, Plan, ResizeRule, Scenes, ScenesConfig, Source,
    shards::{Blobs, CacheSize, Cached, Folder, PackOptions, ShardOptions, open, pack, verify},
};
use vlp_store::{ObjectBlobs, Retries};

fn retries(attempts: u32) -> Retries {
    Retries {
        attempts,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
    }
}

/// Scenes in three shards.
fn packed(dir: &Path) -> Scenes {
    let scenes = Scenes::new(ScenesConfig {
        count: 30,
        ..ScenesConfig::default()
    })
    .unwrap();
    let options = PackOptions {
        shard_samples: 10,
        ..PackOptions::default()
    };
    pack(&scenes, dir.join("set"), &options).unwrap();
    scenes
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

fn http(url: &str, attempts: u32) -> ObjectBlobs {
    ObjectBlobs::with_options(url, [], retries(attempts)).unwrap()
}

fn source(blobs: Arc<dyn Blobs>) -> FileSource {
    open(blobs, ShardOptions::default()).unwrap().source
}

fn same(scenes: &Scenes, source: &FileSource) {
    assert_eq!(source.len(), scenes.len());
    for index in 0..scenes.len() {
        assert_eq!(source.load(index).unwrap(), scenes.load(index).unwrap());
    }
}

#[test]
fn a_read_that_is_cut_off_twice_comes_out_whole() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes(300_000);
    std::fs::write(dir.path().join("a.tar"), &whole).unwrap();
    // With an ETag the store's client goes on by itself, without one it is done here.
    for tags in [true, false] {
        let cuts = Cuts::after(&[70_000, 100_000]);
        let server = Ranges::start(dir.path(), cuts.clone(), tags);
        let blobs = http(&server.url, 3);
        let blob = blobs.head("a.tar").unwrap().unwrap();
        assert_eq!(blob.bytes, 300_000);
        let read = blobs.read("a.tar", 1_000, 280_000).unwrap();
        assert!(read == whole[1_000..281_000]);
        assert_eq!(cuts.left(), 0, "both were made");
        let asked = server.ranges();
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert_eq!(asked[0], (1_000, 281_000));
        // Each goes on where the one before stood.
        assert!(asked[1].0 > 1_000 && asked[2].0 > asked[1].0, "{asked:?}");
        assert_eq!(asked[2].1, 281_000);
    }
}

#[test]
fn a_read_that_never_ends_is_an_error_with_object_range_and_attempts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.tar"), bytes(300_000)).unwrap();
    // The first answer brings 5,000 bytes, all others none.
    let mut cuts = vec![0; 50];
    cuts[0] = 5_000;
    let server = Ranges::start(dir.path(), Cuts::after(&cuts), false);
    let blobs = http(&server.url, 3);
    let error = blobs.read("a.tar", 7, 200_000).unwrap_err().to_string();
    let parts = [
        &format!("{}/a.tar", server.url),
        "bytes 7 to 200007",
        "5000 of them came in 4 attempts",
    ];
    assert!(parts.iter().all(|part| error.contains(*part)), "{error}");
}

#[test]
fn http_is_read_by_the_manifest_alone() {
    let dir = tempfile::tempdir().unwrap();
    let scenes = packed(dir.path());
    let server = Ranges::start(&dir.path().join("set"), Cuts::after(&[]), true);
    let blobs = Arc::new(http(&server.url, 2));
    assert!(blobs.list().unwrap().is_none());
    let cached = Arc::new(Cached::new(blobs.clone(), CacheSize::default()).unwrap());
    same(&scenes, &source(cached.clone()));
    // Index.json and three shards of one block each, whatever is read of them.
    assert_eq!(cached.fetched(), 4);
    assert!(verify(blobs.as_ref()).unwrap() > 10_000);
    assert!(blobs.head("no.tar").unwrap().is_none());
    std::fs::remove_file(dir.path().join("set/index.json")).unwrap();
    let error = open(blobs, ShardOptions::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("cannot be listed"), "{error}");
}

#[test]
fn threads_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes(500_000);
    std::fs::write(dir.path().join("a.tar"), &whole).unwrap();
    let server = Ranges::start(dir.path(), Cuts::after(&[1_000; 5]), true);
    let blobs = http(&server.url, 9);
    thread::scope(|scope| {
        for number in 0..8_usize {
            let (blobs, whole) = (&blobs, &whole);
            scope.spawn(move || {
                for step in 0..5 {
                    let start = number * 50_000 + step * 1_000;
                    let read = blobs.read("a.tar", start as u64, 90_000).unwrap();
                    assert!(read == whole[start..start + 90_000]);
                }
            });
        }
    });
}

#[test]
fn local_urls_are_read_and_wrong_ones_named() {
    let dir = tempfile::tempdir().unwrap();
    let scenes = packed(dir.path());
    let set = dir.path().join("set");
    let url = format!("file://{}", set.display());
    same(
        &scenes,
        &source(vlp_store::open(&url, CacheSize::default()).unwrap()),
    );
    let path = set.display().to_string();
    same(
        &scenes,
        &source(vlp_store::open(&path, CacheSize::default()).unwrap()),
    );
    let objects = ObjectBlobs::open(&url).unwrap();
    let folder = Folder::open(&set).unwrap();
    let names = |blobs: &dyn Blobs| -> Vec<(String, u64)> {
        let listed = blobs.list().unwrap().unwrap();
        listed
            .into_iter()
            .map(|blob| (blob.name, blob.bytes))
            .collect()
    };
    assert_eq!(names(&objects), names(&folder));
    for wrong in [
        "ftp://host/set",
        "s3:bucket",
        "nothing://",
        "file://host/set",
    ] {
        let error = ObjectBlobs::open(wrong).err().unwrap().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    let beyond = objects
        .read("000000.tar", 0, 1 << 30)
        .unwrap_err()
        .to_string();
    assert!(
        beyond.contains("000000.tar") && beyond.contains("bytes 0 to 1073741824"),
        "{beyond}"
    );
}

/// Skips where there is no server to start: `scripts/s3-server` installs it.
fn s3() -> Option<S3> {
    let server = S3::start();
    if let Err(why) = &server {
        eprintln!("skipped: {why}");
    }
    server.ok()
}

#[test]
fn shards_in_s3_are_read_like_local_ones() {
    let Some(server) = s3() else { return };
    let dir = tempfile::tempdir().unwrap();
    let scenes = packed(dir.path());
    server.put("some-bucket", "a/set", &dir.path().join("set"));
    let blobs = |endpoint: &str| {
        let options = server.options(endpoint);
        ObjectBlobs::with_options("s3://some-bucket/a/set/", options, retries(5)).unwrap()
    };
    let straight = Arc::new(blobs(&server.endpoint));
    let listed: Vec<String> = (straight.list().unwrap().unwrap().into_iter())
        .map(|blob| blob.name)
        .collect();
    assert_eq!(
        listed,
        ["000000.tar", "000001.tar", "000002.tar", "index.json"]
    );
    let local = Folder::open(dir.path().join("set")).unwrap();
    for name in &listed {
        let len = local.head(name).unwrap().unwrap().bytes as usize;
        assert!(straight.read(name, 0, len).unwrap() == local.read(name, 0, len).unwrap());
    }
    assert!(straight.head("none").unwrap().is_none());
    same(&scenes, &source(straight.clone()));

    // Through connections that end after 20,000 bytes, twice, and then hold.
    let cuts = Cuts::after(&[20_000, 20_000]);
    let endpoint = proxy(&server.endpoint, cuts.clone());
    let cut = blobs(&endpoint);
    let len = local.head("000001.tar").unwrap().unwrap().bytes as usize;
    assert!(len > 40_000, "longer than what is cut: {len}");
    let read = cut.read("000001.tar", 0, len).unwrap();
    assert!(read == local.read("000001.tar", 0, len).unwrap());
    assert_eq!(cuts.left(), 0);

    // The loader's stream, from the middle of a shard too.
    let cached = Cached::new(straight, CacheSize::default()).unwrap();
    let remote: Arc<dyn Source> = Arc::new(source(Arc::new(cached)));
    let local: Arc<dyn Source> = Arc::new(source(Arc::new(local)));
    let stream = |source: &Arc<dyn Source>, workers, start_step| {
        let plan = Plan {
            seed: 1,
            batch_size: 4,
            bucket_by_shape: true,
            window: 8,
        };
        let config = LoaderConfig {
            workers,
            start_step,
            ..LoaderConfig::new(plan, ResizeRule::Square { side: 16 })
        };
        let mut loader = Loader::start(source.clone(), config).unwrap();
        (start_step..14)
            .map(|_| loader.next().unwrap())
            .collect::<Vec<_>>()
    };
    let whole = stream(&local, 0, 0);
    assert_eq!(stream(&remote, 3, 0), whole);
    assert_eq!(stream(&remote, 2, 5), whole[5..]);
    // A bucket that is not there, or a key that is wrong, is an error that names the place.
    let options = server.options(&server.endpoint);
    let nowhere = ObjectBlobs::with_options("s3://no-such-bucket/a", options, retries(2)).unwrap();
    let error = nowhere.list().unwrap_err().to_string();
    assert!(error.contains("s3://no-such-bucket/a"), "{error}");
}
