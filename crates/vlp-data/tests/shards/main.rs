//! Shards: packing and reading back, invalid archives, the block cache, sample order, and the index cache.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archives;
mod block_cache;
#[path = "../common/mod.rs"]
mod common;
mod fuzz;
mod index_cache;
mod indexed;
mod order;
mod other_tools;
mod packing;
mod store_errors;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use vlp_data::{
    DataError, FileSource, Image, Source,
    shards::{Blob, BlobStore, ShardOptions, open},
};

/// Shards in memory. Reads outside of a shard panic, which shows that lengths in an archive are checked.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) reads: AtomicU64,
}

impl MemoryStore {
    pub(crate) fn single(name: &str, bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            files: [(name.to_owned(), bytes)].into(),
            ..Self::default()
        })
    }
}

impl BlobStore for MemoryStore {
    fn name(&self) -> &str {
        "memory"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let blobs = self
            .files
            .keys()
            .filter_map(|name| self.head(name).unwrap());
        Ok(Some(blobs.collect()))
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        Ok(self.files.get(name).map(|bytes| Blob {
            name: name.into(),
            bytes: bytes.len() as u64,
            version: String::new(),
        }))
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let start = start as usize;
        Ok(self.files[name][start..start + len].to_vec())
    }
}

pub(crate) fn png(width: usize, height: usize, seed: u8) -> Vec<u8> {
    let rgb = (0..width * height * 3).map(|index| (index * 37 % 251) as u8 ^ seed);
    let image = Image {
        width,
        height,
        rgb: rgb.collect(),
    };
    let image = image::RgbImage::from_raw(width as u32, height as u32, image.rgb).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(crate) fn header(kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}

/// An archive of regular files.
pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = header(tar::EntryType::Regular, bytes.len());
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A header with an arbitrary name, which the `tar` crate might reject, and its content.
pub(crate) fn raw(name: &[u8], kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = header(kind, bytes.len());
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut member = header.as_bytes().to_vec();
    member.extend_from_slice(bytes);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

pub(crate) fn try_open(bytes: Vec<u8>) -> Result<FileSource, DataError> {
    let opened = open(MemoryStore::single("a.tar", bytes), ShardOptions::default());
    opened.map(|opened| opened.source)
}

/// The captions of samples with one caption each.
pub(crate) fn captions(source: &FileSource) -> Vec<String> {
    (0..source.len())
        .map(|index| source.captions(index).unwrap().concat())
        .collect()
}

/// The skipped records of a source with the reasons.
pub(crate) fn skipped(source: &FileSource) -> Vec<(String, String)> {
    let records = source.report().skipped_records.iter();
    records
        .inspect(|skipped| assert_eq!(skipped.file, "memory/a.tar"))
        .map(|skipped| (skipped.record.clone(), skipped.reason.clone()))
        .collect()
}
