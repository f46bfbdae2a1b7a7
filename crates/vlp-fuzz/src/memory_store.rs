//! Shards in memory.

use std::collections::BTreeMap;

use vlp_data::DataError;
use vlp_data::shards::{Blob, BlobStore};

/// Files by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore(pub(crate) BTreeMap<String, Vec<u8>>);

impl MemoryStore {
    fn blob(name: &str, bytes: &[u8]) -> Blob {
        Blob {
            name: name.into(),
            bytes: bytes.len() as u64,
            version: String::new(),
        }
    }
}

impl BlobStore for MemoryStore {
    fn name(&self) -> &str {
        "memory"
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let blobs = self.0.iter().map(|(name, bytes)| Self::blob(name, bytes));
        Ok(Some(blobs.collect()))
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        Ok(self.0.get(name).map(|bytes| Self::blob(name, bytes)))
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        let end = start.checked_add(len as u64);
        let range = end.map(|end| start as usize..end as usize);
        let bytes = self
            .0
            .get(name)
            .zip(range)
            .and_then(|(bytes, range)| bytes.get(range));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| DataError::Format {
            path: name.into(),
            reason: format!("it has no {len} bytes from {start}"),
        })
    }
}
