//! The manifest of a checkpoint: its format, the training state, the score and a hash of every file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CheckpointScore, TrainState};
use crate::atomic_file::{read_file, sha256_hex, write_synced};
use crate::error::TrainError;

/// Number of the format that this version writes, the only one it reads.
const FORMAT: u32 = 2;
const FILE_NAME: &str = "manifest.json";

/// Contents of `manifest.json`. `sha256` covers the other fields, so any changed byte is detected.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) state: TrainState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<CheckpointScore>,
    pub(super) files: BTreeMap<String, FileEntry>,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileEntry {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    pub(super) fn new(
        state: &TrainState,
        score: Option<&CheckpointScore>,
        files: &[(&str, Vec<u8>)],
    ) -> Result<Self, serde_json::Error> {
        let entry = |(name, bytes): &(&str, Vec<u8>)| {
            let entry = FileEntry {
                bytes: bytes.len() as u64,
                sha256: sha256_hex(bytes),
            };
            ((*name).to_string(), entry)
        };
        let mut manifest = Self {
            format: FORMAT,
            state: state.clone(),
            score: score.filter(|score| score.value.is_finite()).cloned(),
            files: files.iter().map(entry).collect(),
            sha256: String::new(),
        };
        manifest.sha256 = manifest.digest()?;
        Ok(manifest)
    }

    fn digest(&self) -> Result<String, serde_json::Error> {
        let fields = (self.format, &self.state, &self.score, &self.files);
        Ok(sha256_hex(&serde_json::to_vec(&fields)?))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let text = serde_json::to_vec_pretty(self).map_err(encode_error(folder))?;
        write_synced(&folder.join(FILE_NAME), &text)
    }

    /// Reads and verifies the manifest of the checkpoint `folder`, which must be of `step`.
    pub(super) fn read(folder: &Path, step: u64) -> Result<Self, TrainError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let path = folder.join(FILE_NAME);
        let corrupt = |reason: String| TrainError::Corrupt {
            path: path.clone(),
            reason,
        };
        let invalid = |e: serde_json::Error| corrupt(format!("not a manifest: {e}"));
        let bytes = read_file(&path)?;
        let Version { format } = serde_json::from_slice(&bytes).map_err(invalid)?;
        if format != FORMAT {
            return Err(TrainError::Version {
                path,
                format,
                supported: FORMAT,
            });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(invalid)?;
        if manifest.state.step != step {
            let reason = format!("of step {}, expected {step}", manifest.state.step);
            return Err(corrupt(reason));
        }
        if !manifest
            .digest()
            .is_ok_and(|digest| digest == manifest.sha256)
        {
            return Err(corrupt("its fields do not match its SHA-256".into()));
        }
        // Anyone can write a manifest with the right hash: it must not lead to files elsewhere, such as an endless device.
        let leads_out = |name: &&String| Path::new(name).file_name() != Some(name.as_ref());
        match manifest.files.keys().find(leads_out) {
            None => Ok(manifest),
            Some(name) => Err(corrupt(format!(
                "{name:?} is not the name of a file in its folder"
            ))),
        }
    }
}

impl FileEntry {
    /// Reads `path` and verifies its length and hash.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, TrainError> {
        let bytes = read_file(path)?;
        let reason = if bytes.len() as u64 != self.bytes {
            format!("{} bytes, expected {}", bytes.len(), self.bytes)
        } else if sha256_hex(&bytes) != self.sha256 {
            "its SHA-256 is not the manifest's".into()
        } else {
            return Ok(bytes);
        };
        Err(TrainError::Corrupt {
            path: path.into(),
            reason,
        })
    }
}

pub(super) fn encode_error(folder: &Path) -> impl FnOnce(serde_json::Error) -> TrainError {
    let to_error = TrainError::io(folder, "encode the manifest");
    move |error| to_error(std::io::Error::other(error))
}

/// `f64` as text: JSON readers may round the last digit of a number, which would change the digest.
pub(super) mod number_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
