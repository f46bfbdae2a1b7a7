//! The index of one shard in a file next to it.
//!
//! The file is the magic bytes, the layout number of the index cache, and the [`FileSource`] of the shard alone, without the
//! label names. Its length and CRC-32C are in the manifest.

use std::{path::Path, sync::Arc};

use serde::{Deserialize as _, Serialize};
use vlp_files::write_synced;

use super::{Blob, BlobStore, Folder, MANIFEST, ShardEntry, ShardIndex, ShardOptions, index};
use crate::{DataError, FileSource, LabelSpace, Limits, Source, read::cache::LAYOUT};

const MAGIC: [u8; 8] = *b"vlpshard";
const HEADER_LEN: usize = MAGIC.len() + 4;

/// Writes the index of a complete shard in `folder`; `None` if not every sample of the shard would be read.
pub(super) fn write(
    folder: &Path,
    shard: &ShardEntry,
    name: &str,
    labels: &LabelSpace,
) -> Result<Option<ShardIndex>, DataError> {
    let store = Arc::new(Folder::open(folder)?);
    let Some(blob) = store.head(&shard.name)? else {
        return Ok(None);
    };
    let labels = Some(labels.clone());
    let options = ShardOptions::default();
    let mut source = match index::build(store, &[blob], &[], name.into(), labels, &options) {
        Ok(source) if source.report.skipped == 0 && source.len() as u64 == shard.samples => source,
        Ok(_) | Err(DataError::Format { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    // They are in the manifest.
    source.labels = LabelSpace::default();
    let path = folder.join(shard.index_name());
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&LAYOUT.to_le_bytes());
    source
        .serialize(&mut rmp_serde::Serializer::new(&mut bytes))
        .map_err(|error| DataError::io(&path)(std::io::Error::other(error)))?;
    write_synced(&path, &bytes).map_err(DataError::io(&path))?;
    Ok(Some(ShardIndex {
        version: LAYOUT,
        bytes: bytes.len() as u64,
        crc32c: crc32c::crc32c(&bytes),
        has_answers: source.has_answers(),
        has_coco_ids: source.has_coco_ids(),
    }))
}

/// Reads the index of a shard.
///
/// # Errors
/// [`DataError::Format`] if it is not the one in the manifest, or is damaged.
pub(super) fn read(
    store: &Arc<dyn BlobStore>,
    shard: &ShardEntry,
    entry: &ShardIndex,
    labels: &LabelSpace,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let name = shard.index_name();
    let invalid = |reason: String| DataError::Format {
        path: format!("{}/{name}", store.name()).into(),
        reason: format!(
            "{reason}; copy it again from where the set was packed, or remove every `index` from {MANIFEST}: the shards are then read as a whole when the set is opened"
        ),
    };
    let Some(Blob { bytes, .. }) = store.head(&name)? else {
        return Err(invalid("no such file".into()));
    };
    if bytes != entry.bytes {
        let reason = format!("it has {bytes} bytes, {MANIFEST} says {}", entry.bytes);
        return Err(invalid(reason));
    }
    let bytes = store.read(&name, 0, bytes as usize)?;
    let crc = crc32c::crc32c(&bytes);
    if crc != entry.crc32c {
        return Err(invalid(format!(
            "its CRC-32C is {crc:08x}, {MANIFEST} says {:08x}",
            entry.crc32c
        )));
    }
    let (header, body) = bytes.split_at_checked(HEADER_LEN).unwrap_or_default();
    if !header.starts_with(&MAGIC) || !header.ends_with(&LAYOUT.to_le_bytes()) {
        return Err(invalid("it is not the index of a shard".into()));
    }
    let mut body = rmp_serde::Deserializer::from_read_ref(body);
    let mut source = FileSource::deserialize(&mut body)
        .map_err(|error| invalid(format!("it is damaged: {error}")))?;
    source
        .images
        .attach_shard(store.clone(), shard.name.clone(), limits.clone());
    source.labels = labels.clone();
    if !source.is_consistent()
        || !source.images.are_within(shard.bytes)
        || source.len() as u64 != shard.samples
    {
        return Err(invalid("it is damaged".into()));
    }
    // No longer needed, and large compared with a small shard.
    source.labels = LabelSpace::default();
    Ok(source)
}
