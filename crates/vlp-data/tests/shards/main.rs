//! Shards: packing and reading back, wrong archives, the cache of blocks, the loader over them, and the cache of indices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archives;
mod blocks;
mod fuzz;
mod indices;
mod order;
mod packing;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use vlp_data::{
    DataError, FileSource, Picture, Source,
    shards::{Blob, Blobs, ShardOptions, open},
};

/// Shards in memory. Whatever is read must lie inside of them: no length from an archive is believed unchecked.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) reads: AtomicU64,
}

impl Memory {
    pub(crate) fn of(name: &str, bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            files: [(name.to_owned(), bytes)].into(),
            ..Self::default()
        })
    }
}

impl Blobs for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let heads = self
            .files
            .keys()
            .filter_map(|name| self.head(name).unwrap());
        Ok(Some(heads.collect()))
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
    let rgb = (0..width * height * 3).map(|at| (at * 37 % 251) as u8 ^ seed);
    let picture = Picture {
        width,
        height,
        rgb: rgb.collect(),
    };
    let image = image::RgbImage::from_raw(width as u32, height as u32, picture.rgb).unwrap();
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

/// A header with a name as it is, which the library would refuse to write.
pub(crate) fn raw(name: &[u8], kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = header(kind, bytes.len());
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut all = header.as_bytes().to_vec();
    all.extend_from_slice(bytes);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

pub(crate) fn try_open(bytes: Vec<u8>) -> Result<FileSource, DataError> {
    let opened = open(Memory::of("a.tar", bytes), ShardOptions::default());
    opened.map(|opened| opened.source)
}

/// The captions of a source, one each.
pub(crate) fn captions(source: &FileSource) -> Vec<String> {
    let all = 0..source.len();
    all.map(|index| source.captions(index).unwrap().concat())
        .collect()
}

/// Its faults as (record, reason).
pub(crate) fn faults(source: &FileSource) -> Vec<(String, String)> {
    let faults = source.report().faults.iter();
    faults
        .inspect(|fault| assert_eq!(fault.file, "memory/a.tar"))
        .map(|fault| (fault.record.clone(), fault.reason.clone()))
        .collect()
}
