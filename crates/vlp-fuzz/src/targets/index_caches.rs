use std::sync::Arc;

use vlp_data::read::cache;
use vlp_data::shards::{MANIFEST, ShardIndex, ShardOptions, open, open_indexed, verify};
use vlp_data::{DataError, FileSource};

use crate::fixtures::IndexFixtures;
use crate::input::Mode;
use crate::limits::limits;
use crate::memory_store::MemoryStore;
use crate::must::{Must, accepted};
use crate::scratch::Scratch;
use crate::source::{Origin, check, check_equal};

/// Bytes of a cache before its checksum, and of a shard's index before its contents.
const HEADER: usize = 12;

/// Bytes of a valid cache that are changed (`0`); what a cache holds, with the right checksum (`1`); what the index of a
/// shard holds, with the right checksum (`2`); the manifest of a set (`3`).
pub fn index_caches(scratch: &Scratch, input: &[u8]) {
    let Some((mode, bytes)) = Mode::split(input) else {
        return;
    };
    let fixtures = scratch.indices();
    match mode.below(4) {
        0 => check_changed(scratch, fixtures, bytes),
        1 => check_contents(scratch, fixtures, bytes),
        2 => check_shard_index(fixtures, bytes),
        _ => check_manifest(fixtures, bytes),
    }
}

/// The index in a cache; an error where it would be built anew.
fn read(scratch: &Scratch, bytes: &[u8]) -> Option<FileSource> {
    let path = scratch.write("input.index", bytes);
    let rebuild = || Err(DataError::Worker("the index is built anew".into()));
    let opened = cache::open_or_build(&path, &[], "", rebuild);
    accepted(opened).map(|opened| opened.source)
}

/// Applies changes of three bytes each: a place and what is added to the byte there. What is left shortens the cache.
fn check_changed(scratch: &Scratch, fixtures: &IndexFixtures, changes: &[u8]) {
    let mut bytes = fixtures.cache.clone();
    let (changes, rest) = changes.as_chunks::<3>();
    for [low, high, difference] in changes {
        let place = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len();
        bytes[place] = bytes[place].wrapping_add(*difference);
    }
    if let Some(&length) = rest.first() {
        bytes.truncate(bytes.len() * usize::from(length) / 256);
    }
    if let Some(source) = read(scratch, &bytes) {
        check(&source, Origin::Reader);
        check_equal(&source, &fixtures.source);
    }
}

fn check_contents(scratch: &Scratch, fixtures: &IndexFixtures, contents: &[u8]) {
    let contents = [&fixtures.key, contents].concat();
    let crc = crc32c::crc32c(&contents).to_le_bytes();
    let bytes = [&fixtures.cache[..HEADER], &crc, &contents].concat();
    if let Some(source) = read(scratch, &bytes) {
        check(&source, Origin::Index);
    }
}

fn check_shard_index(fixtures: &IndexFixtures, contents: &[u8]) {
    let (mut set, mut manifest) = (fixtures.set.clone(), fixtures.manifest.clone());
    for (name, bytes) in &mut set {
        if !name.ends_with(".idx") {
            continue;
        }
        bytes.truncate(HEADER);
        bytes.extend_from_slice(contents);
        for shard in &mut manifest.shards {
            shard.index = shard.index.map(|index| ShardIndex {
                bytes: bytes.len() as u64,
                crc32c: crc32c::crc32c(bytes),
                ..index
            });
        }
    }
    set.insert(
        MANIFEST.into(),
        serde_json::to_vec(&manifest).must(MANIFEST),
    );
    let opened = open_indexed(Arc::new(MemoryStore(set)), &options());
    if let Some(source) = opened.must("a set with another index") {
        check(&source, Origin::Index);
    }
}

fn check_manifest(fixtures: &IndexFixtures, bytes: &[u8]) {
    let mut set = fixtures.set.clone();
    set.insert(MANIFEST.into(), bytes.to_vec());
    let store = Arc::new(MemoryStore(set));
    let _ = accepted(verify(store.as_ref()));
    if let Some(Some(source)) = accepted(open_indexed(store.clone(), &options())) {
        check(&source, Origin::Index);
    }
    if let Some(opened) = accepted(open(store, options())) {
        check(&opened.source, Origin::Reader);
    }
}

fn options() -> ShardOptions {
    ShardOptions::default().with_limits(limits())
}
