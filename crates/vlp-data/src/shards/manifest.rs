use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Blob, BlobStore};
use crate::{DataError, LabelSpace, read::is_system_file};

/// File name of the [`Manifest`] of a set of shards.
pub const MANIFEST: &str = "index.json";
const KIND: &str = "vlp-shards";
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Description of a packed set of shards, stored as `index.json` next to them.
///
/// It is optional: without one, all shards are read in the order of their names, and labels are numbered as they occur.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `vlp-shards`.
    pub kind: String,
    /// Version of the format, 1.
    pub version: u32,
    /// Name of the packed source.
    pub name: String,
    /// Number of samples in all shards.
    pub samples: u64,
    /// Class and attribute names.
    pub labels: LabelSpace,
    /// The shards in the order of the samples.
    pub shards: Vec<ShardEntry>,
}

/// A shard in a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// File name.
    pub name: String,
    /// Length in bytes; a shard of another length is rejected.
    pub bytes: u64,
    /// Number of samples.
    pub samples: u64,
    /// CRC-32C of the file, checked by [`verify`].
    pub crc32c: u32,
}

impl Manifest {
    pub(super) fn new(name: String, labels: LabelSpace, shards: Vec<ShardEntry>) -> Self {
        Self {
            kind: KIND.into(),
            version: 1,
            name,
            samples: shards.iter().map(|shard| shard.samples).sum(),
            labels,
            shards,
        }
    }

    /// The manifest in a store; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is of another kind or version.
    pub fn read(store: &dyn BlobStore) -> Result<Option<Self>, DataError> {
        let Some(blob) = store.head(MANIFEST)? else {
            return Ok(None);
        };
        let invalid = |reason: String| DataError::Format {
            path: format!("{}/{MANIFEST}", store.name()).into(),
            reason,
        };
        if blob.bytes > MAX_MANIFEST_BYTES {
            let reason = format!("{} bytes, more than {MAX_MANIFEST_BYTES}", blob.bytes);
            return Err(invalid(reason));
        }
        let bytes = store.read(MANIFEST, 0, blob.bytes as usize)?;
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if (manifest.kind.as_str(), manifest.version) != (KIND, 1) {
            return Err(invalid(format!(
                "it is {} {}; it must be {KIND} 1",
                manifest.kind, manifest.version
            )));
        }
        // Names must not lead out of the store.
        let is_invalid = |name: &str| {
            name.is_empty()
                || name.starts_with('/')
                || name.contains(['\\', ':'])
                || name.split('/').any(|part| matches!(part, "" | "." | ".."))
        };
        if let Some(shard) = manifest.shards.iter().find(|shard| is_invalid(&shard.name)) {
            return Err(invalid(format!(
                "{:?} is not a valid name of a shard",
                shard.name
            )));
        }
        Ok(Some(manifest))
    }
}

/// The shards in a store, checked against the manifest if there is one, and the names of `.tar` files that it lacks.
pub(super) fn shards(
    store: &dyn BlobStore,
    manifest: Option<&Manifest>,
) -> Result<(Vec<Blob>, Vec<String>), DataError> {
    let blobs = store.list()?;
    let missing = |name: &str, reason: &str| DataError::Missing {
        path: format!("{}/{name}", store.name()).into(),
        reason: reason.into(),
    };
    let Some(manifest) = manifest else {
        let Some(blobs) = blobs else {
            let reason = "no such file, and the files of the store cannot be listed";
            return Err(missing(MANIFEST, reason));
        };
        let compressed = blobs.iter().find(|blob| is_compressed_tar(&blob.name));
        let reason = compressed.map_or_else(
            || "no such files".to_owned(),
            |blob| {
                format!(
                    "no such files; {} is compressed: unpack it to .tar",
                    blob.name
                )
            },
        );
        let tars: Vec<Blob> = blobs
            .into_iter()
            .filter(|blob| is_shard(&blob.name))
            .collect();
        if tars.is_empty() {
            return Err(missing("*.tar", &reason));
        }
        return Ok((tars, Vec::new()));
    };
    let blobs_by_name: Option<HashMap<&str, &Blob>> = blobs.as_ref().map(|blobs| {
        let entries = blobs.iter().map(|blob| (blob.name.as_str(), blob));
        entries.collect()
    });
    let mut shards = Vec::with_capacity(manifest.shards.len());
    for entry in &manifest.shards {
        let blob = match &blobs_by_name {
            Some(blobs) => blobs.get(entry.name.as_str()).map(|&blob| blob.clone()),
            None => store.head(&entry.name)?,
        };
        let blob =
            blob.ok_or_else(|| missing(&entry.name, "no such file, but index.json lists it"))?;
        if blob.bytes != entry.bytes {
            return Err(DataError::Format {
                path: format!("{}/{}", store.name(), entry.name).into(),
                reason: format!(
                    "it has {} bytes, {MANIFEST} says {}",
                    blob.bytes, entry.bytes
                ),
            });
        }
        shards.push(blob);
    }
    let listed: HashSet<&str> = shards.iter().map(|shard| shard.name.as_str()).collect();
    let names = blobs.iter().flatten().map(|blob| blob.name.as_str());
    let unlisted = names.filter(|name| is_shard(name) && !listed.contains(name));
    let unlisted = unlisted.map(str::to_owned).collect();
    Ok((shards, unlisted))
}

fn is_shard(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".tar") && !is_system_file(name)
}

fn is_compressed_tar(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".tgz") || name.contains(".tar.")
}

/// Reads every shard completely and compares its CRC-32C with the manifest; returns the number of bytes read.
///
/// # Errors
/// If there is no manifest, or a shard is missing or differs from it; the error names the shard.
pub fn verify(store: &dyn BlobStore) -> Result<u64, DataError> {
    let manifest = Manifest::read(store)?.ok_or_else(|| DataError::Missing {
        path: format!("{}/{MANIFEST}", store.name()).into(),
        reason: "no such file, so that there are no checksums".into(),
    })?;
    let mut total_bytes = 0;
    let (blobs, _) = shards(store, Some(&manifest))?;
    for (blob, entry) in blobs.iter().zip(&manifest.shards) {
        let (mut offset, mut crc) = (0, 0);
        while offset < blob.bytes {
            let len = (blob.bytes - offset).min(8 << 20);
            crc = crc32c::crc32c_append(crc, &store.read(&blob.name, offset, len as usize)?);
            offset += len;
        }
        if crc != entry.crc32c {
            return Err(DataError::Format {
                path: format!("{}/{}", store.name(), blob.name).into(),
                reason: format!(
                    "its CRC-32C is {crc:08x}, {MANIFEST} says {:08x}",
                    entry.crc32c
                ),
            });
        }
        total_bytes += blob.bytes;
    }
    Ok(total_bytes)
}
