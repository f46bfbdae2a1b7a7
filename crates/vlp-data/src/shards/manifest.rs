use std::collections::{BTreeMap, HashSet};

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
    /// The index of the shard in the file `NAME.idx` next to `NAME.tar`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<ShardIndex>,
}

/// The index of a shard in a [`Manifest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardIndex {
    /// Version of the file's layout; an index of another version than this crate's is not used.
    pub version: u32,
    /// Length in bytes.
    pub bytes: u64,
    /// CRC-32C of the file, checked when it is read.
    pub crc32c: u32,
    /// Whether a sample has answers.
    pub has_answers: bool,
    /// Whether an image has a COCO id.
    pub has_coco_ids: bool,
}

impl ShardEntry {
    /// File name of the index of the shard.
    pub(super) fn index_name(&self) -> String {
        format!(
            "{}.idx",
            self.name.strip_suffix(".tar").unwrap_or(&self.name)
        )
    }
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
        let invalid = |reason: String| DataError::Format {
            path: format!("{}/{MANIFEST}", store.name()).into(),
            reason,
        };
        let Some(blob) = store.head(MANIFEST)? else {
            // Without it, shards and labels have another order.
            let blobs = store.list()?;
            if blobs.iter().flatten().any(|blob| blob.name == MANIFEST) {
                return Err(invalid("the store lists it, but does not have it".into()).of_store());
            }
            return Ok(None);
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
    let Some(manifest) = manifest else {
        let missing = |name: &str, reason| DataError::Missing {
            path: format!("{}/{name}", store.name()).into(),
            reason,
        };
        let Some(blobs) = blobs else {
            let reason = "no such file, and the files of the store cannot be listed";
            return Err(missing(MANIFEST, reason.into()));
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
            return Err(missing("*.tar", reason));
        }
        return Ok((tars, Vec::new()));
    };
    let files = Files::new(store, blobs);
    let shards = manifest.shards.iter();
    let shards = shards.map(|entry| files.listed(&entry.name, entry.bytes));
    Ok((shards.collect::<Result<_, _>>()?, files.unlisted(manifest)))
}

/// Checks that the store has the shards and indices of the manifest, as far as it lists its files. Returns the names of the
/// `.tar` files that the manifest lacks.
pub(super) fn check_listed(
    store: &dyn BlobStore,
    manifest: &Manifest,
) -> Result<Vec<String>, DataError> {
    let files = Files::new(store, store.list()?);
    if files.blobs.is_none() {
        return Ok(Vec::new());
    }
    for shard in &manifest.shards {
        files.listed(&shard.name, shard.bytes)?;
        if let Some(index) = &shard.index {
            files.listed(&shard.index_name(), index.bytes)?;
        }
    }
    Ok(files.unlisted(manifest))
}

/// The files of a store.
struct Files<'a> {
    store: &'a dyn BlobStore,
    /// By name; `None` if the store cannot list them.
    blobs: Option<BTreeMap<String, Blob>>,
}

impl<'a> Files<'a> {
    fn new(store: &'a dyn BlobStore, blobs: Option<Vec<Blob>>) -> Self {
        let by_name = |blob: Blob| (blob.name.clone(), blob);
        Self {
            store,
            blobs: blobs.map(|blobs| blobs.into_iter().map(by_name).collect()),
        }
    }

    /// A file that the manifest lists with this length.
    fn listed(&self, name: &str, bytes: u64) -> Result<Blob, DataError> {
        let path = || format!("{}/{name}", self.store.name()).into();
        let blob = match &self.blobs {
            Some(blobs) => blobs.get(name).cloned(),
            None => self.store.head(name)?,
        };
        let blob = blob.ok_or_else(|| DataError::Missing {
            path: path(),
            reason: "no such file, but index.json lists it".into(),
        })?;
        if blob.bytes != bytes {
            return Err(DataError::Format {
                path: path(),
                reason: format!("it has {} bytes, {MANIFEST} says {bytes}", blob.bytes),
            });
        }
        Ok(blob)
    }

    /// Reads a file that the manifest lists with this length and checksum, and returns the length.
    fn verify(&self, name: &str, bytes: u64, crc32c: u32) -> Result<u64, DataError> {
        self.listed(name, bytes)?;
        let (mut offset, mut crc) = (0, 0);
        while offset < bytes {
            let len = (bytes - offset).min(8 << 20);
            crc = crc32c::crc32c_append(crc, &self.store.read(name, offset, len as usize)?);
            offset += len;
        }
        if crc == crc32c {
            return Ok(bytes);
        }
        Err(DataError::Format {
            path: format!("{}/{name}", self.store.name()).into(),
            reason: format!("its CRC-32C is {crc:08x}, {MANIFEST} says {crc32c:08x}"),
        })
    }

    /// The names of the `.tar` files that the manifest lacks.
    fn unlisted(&self, manifest: &Manifest) -> Vec<String> {
        let shards = manifest.shards.iter();
        let listed: HashSet<&str> = shards.map(|shard| shard.name.as_str()).collect();
        let names = self.blobs.iter().flat_map(BTreeMap::keys);
        let unlisted = names.filter(|name| is_shard(name) && !listed.contains(name.as_str()));
        unlisted.cloned().collect()
    }
}

fn is_shard(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".tar") && !is_system_file(name)
}

fn is_compressed_tar(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".tgz") || name.contains(".tar.")
}

/// Reads every shard and its index completely and compares their CRC-32C with the manifest; returns the number of bytes read.
///
/// # Errors
/// If there is no manifest, or a file is missing or differs from it; the error names the file.
pub fn verify(store: &dyn BlobStore) -> Result<u64, DataError> {
    let manifest = Manifest::read(store)?.ok_or_else(|| DataError::Missing {
        path: format!("{}/{MANIFEST}", store.name()).into(),
        reason: "no such file, so that there are no checksums".into(),
    })?;
    let files = Files::new(store, store.list()?);
    let mut total_bytes = 0;
    for shard in &manifest.shards {
        total_bytes += files.verify(&shard.name, shard.bytes, shard.crc32c)?;
        if let Some(index) = &shard.index {
            let name = shard.index_name();
            total_bytes += files.verify(&name, index.bytes, index.crc32c)?;
        }
    }
    Ok(total_bytes)
}
