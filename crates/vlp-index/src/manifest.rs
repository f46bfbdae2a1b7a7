//! `index.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vlp_files::write_whole;

use crate::error::IndexError;
use crate::header::IndexHeader;

/// Number of the format that this version writes, the only one it reads.
const FORMAT: u32 = 2;
pub(crate) const FILE_NAME: &str = "index.json";

/// Contents of `index.json`. `sha256` covers the other fields, so any changed byte is detected.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    pub(crate) header: IndexHeader,
    pub(crate) complete: bool,
    pub(crate) segments: Vec<SegmentEntry>,
    sha256: String,
}

/// A segment that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentEntry {
    /// Samples of the source that it covers, those that could not be read included.
    pub(crate) samples: usize,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Size of the file of thumbnails; 0 if there is none.
    pub(crate) thumbnail_bytes: u64,
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Manifest {
    pub(crate) fn new(header: &IndexHeader) -> Self {
        Self {
            format: FORMAT,
            header: header.clone(),
            complete: false,
            segments: vec![],
            sha256: String::new(),
        }
    }

    /// Samples that the segments cover.
    pub(crate) fn samples(&self) -> usize {
        self.segments
            .iter()
            .fold(0, |sum, segment| segment.samples.saturating_add(sum))
    }

    pub(crate) fn segment_file(folder: &Path, segment: usize) -> PathBuf {
        folder.join(format!("{segment:06}.safetensors"))
    }

    pub(crate) fn thumbnail_file(folder: &Path, segment: usize) -> PathBuf {
        folder.join(format!("{segment:06}.jpegs"))
    }

    fn digest(&self) -> Result<String, serde_json::Error> {
        let fields = (self.format, &self.header, self.complete, &self.segments);
        Ok(sha256_hex(&serde_json::to_vec(&fields)?))
    }

    pub(crate) fn write(&mut self, folder: &Path) -> Result<(), IndexError> {
        let path = folder.join(FILE_NAME);
        let fail = |error: serde_json::Error| IndexError::io(&path)(error.into());
        self.sha256 = self.digest().map_err(fail)?;
        let text = serde_json::to_vec_pretty(self).map_err(fail)?;
        write_whole(&path, &text).map_err(IndexError::io(&path))
    }

    /// Reads and verifies `index.json`; `None` if there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, IndexError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let path = folder.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) =>
            {
                return Ok(None);
            }
            bytes => bytes.map_err(IndexError::io(&path))?,
        };
        let damaged = |reason: String| IndexError::Format {
            path: path.clone(),
            reason: format!("damaged: {reason}; write the index again, in another folder"),
        };
        let invalid = |error: serde_json::Error| damaged(error.to_string());
        let Version { format } = serde_json::from_slice(&bytes).map_err(invalid)?;
        if format != FORMAT {
            return Err(IndexError::Format {
                path,
                reason: format!(
                    "its format is {format}; this version of vlp-index reads format {FORMAT}: write the index again, in another folder"
                ),
            });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(invalid)?;
        match manifest.digest() {
            Ok(digest) if digest == manifest.sha256 => Ok(Some(manifest)),
            _ => Err(damaged("its fields do not match its SHA-256".into())),
        }
    }
}

impl SegmentEntry {
    /// Reads a segment's file and verifies its size and hash.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, IndexError> {
        let bytes = fs::read(path).map_err(IndexError::io(path))?;
        let reason = if bytes.len() as u64 != self.bytes {
            format!("{} bytes, expected {}", bytes.len(), self.bytes)
        } else if sha256_hex(&bytes) != self.sha256 {
            "its SHA-256 is not that of index.json".into()
        } else {
            return Ok(bytes);
        };
        Err(IndexError::Format {
            path: path.into(),
            reason: format!("damaged: {reason}; write the index again, in another folder"),
        })
    }
}
