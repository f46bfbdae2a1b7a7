use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Blob, Blobs};
use crate::{DataError, LabelSpace};

/// Name of the [`Manifest`]'s file beside the shards.
pub const MANIFEST: &str = "index.json";
const KIND: &str = "vlp-shards";
const MAX_MANIFEST: u64 = 64 << 20;

/// What a packed set of shards says of itself, in `index.json` beside them. It is not needed: a set without one is read
/// in the order of the shards' names, and labels are numbered as they occur.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `vlp-shards`.
    pub kind: String,
    /// Version of the layout, 1.
    pub version: u32,
    /// Name of the packed source.
    pub name: String,
    /// Samples of all shards.
    pub samples: u64,
    /// What numbers in the records' boxes mean: classes and attributes in their order.
    pub labels: LabelSpace,
    /// The shards in the samples' order.
    pub shards: Vec<ShardEntry>,
}

/// A shard in a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// Its file.
    pub name: String,
    /// Its length. A shard of another length is not read.
    pub bytes: u64,
    /// Its samples.
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

    /// The manifest of a place; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read or is of another kind or version.
    pub fn read(blobs: &dyn Blobs) -> Result<Option<Self>, DataError> {
        let Some(blob) = blobs.head(MANIFEST)? else {
            return Ok(None);
        };
        let wrong = |reason: String| DataError::Format {
            path: format!("{}/{MANIFEST}", blobs.name()).into(),
            reason,
        };
        if blob.bytes > MAX_MANIFEST {
            let reason = format!("{} bytes, more than {MAX_MANIFEST}", blob.bytes);
            return Err(wrong(reason));
        }
        let bytes = blobs.read(MANIFEST, 0, blob.bytes as usize)?;
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if (manifest.kind.as_str(), manifest.version) != (KIND, 1) {
            return Err(wrong(format!(
                "it is {} {}; it must be {KIND} 1",
                manifest.kind, manifest.version
            )));
        }
        // Names are looked up in the place alone.
        let leads_out = |name: &str| {
            name.is_empty()
                || name.starts_with('/')
                || name.contains(['\\', ':'])
                || name.split('/').any(|part| matches!(part, "" | "." | ".."))
        };
        if let Some(shard) = manifest.shards.iter().find(|s| leads_out(&s.name)) {
            return Err(wrong(format!("{:?} is no name of a shard", shard.name)));
        }
        Ok(Some(manifest))
    }
}

/// The shards of a place with their lengths, checked against the manifest where there is one.
pub(super) fn shards(
    blobs: &dyn Blobs,
    manifest: Option<&Manifest>,
) -> Result<Vec<Blob>, DataError> {
    let listed = blobs.list()?;
    let missing = |name: &str, reason: &str| DataError::Missing {
        path: format!("{}/{name}", blobs.name()).into(),
        reason: reason.into(),
    };
    let Some(manifest) = manifest else {
        let Some(listed) = listed else {
            let reason = "no such file, and the place cannot be listed: the shards are not known";
            return Err(missing(MANIFEST, reason));
        };
        let tars: Vec<Blob> = (listed.into_iter())
            .filter(|blob| blob.name.ends_with(".tar"))
            .collect();
        if tars.is_empty() {
            return Err(missing("*.tar", "no shards there"));
        }
        return Ok(tars);
    };
    let listed: Option<HashMap<&str, &Blob>> = listed.as_ref().map(|listed| {
        let named = listed.iter().map(|blob| (blob.name.as_str(), blob));
        named.collect()
    });
    let mut found = Vec::with_capacity(manifest.shards.len());
    for entry in &manifest.shards {
        let blob = match &listed {
            Some(listed) => listed.get(entry.name.as_str()).map(|&blob| blob.clone()),
            None => blobs.head(&entry.name)?,
        };
        let blob = blob.ok_or_else(|| missing(&entry.name, "no such shard; index.json has it"))?;
        if blob.bytes != entry.bytes {
            return Err(DataError::Format {
                path: format!("{}/{}", blobs.name(), entry.name).into(),
                reason: format!(
                    "it has {} bytes, {MANIFEST} says {}",
                    blob.bytes, entry.bytes
                ),
            });
        }
        found.push(blob);
    }
    Ok(found)
}

/// Reads every shard whole and compares its CRC-32C with the manifest's; how many bytes were read.
///
/// # Errors
/// When there is no manifest, or a shard is missing, of another length or of another content: its name is in the error.
pub fn verify(blobs: &dyn Blobs) -> Result<u64, DataError> {
    let manifest = Manifest::read(blobs)?.ok_or_else(|| DataError::Missing {
        path: format!("{}/{MANIFEST}", blobs.name()).into(),
        reason: "no such file: there is nothing to compare the shards with".into(),
    })?;
    let mut read = 0;
    for (blob, entry) in shards(blobs, Some(&manifest))?.iter().zip(&manifest.shards) {
        let (mut at, mut crc) = (0, 0);
        while at < blob.bytes {
            let len = (blob.bytes - at).min(8 << 20);
            crc = crc32c::crc32c_append(crc, &blobs.read(&blob.name, at, len as usize)?);
            at += len;
        }
        if crc != entry.crc32c {
            return Err(DataError::Format {
                path: format!("{}/{}", blobs.name(), blob.name).into(),
                reason: format!(
                    "its CRC-32C is {crc:08x}, {MANIFEST} says {:08x}",
                    entry.crc32c
                ),
            });
        }
        read += blob.bytes;
    }
    Ok(read)
}
