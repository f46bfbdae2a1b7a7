//! Checkpoints: a folder for each, complete under a manifest of hashes or not there at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::files::{read, sha256, sync_parent, write_synced};

const MANIFEST: &str = "manifest.json";
const SCRATCH: &str = ".writing-";

/// Where a run stands, beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Optimiser steps done; also the position in the data, whose order is a function of the step.
    pub step: u64,
    /// Steps that changed nothing.
    pub skipped: u64,
    /// Steps skipped in a row just before.
    pub skipped_in_row: u32,
    /// Hash of the configuration that must not change.
    pub config: String,
}

/// What a checkpoint holds. `sha256` is of the other fields, so that no changed byte goes unseen.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    state: TrainState,
    /// Text, since JSON readers may round the last digit of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<String>,
    files: BTreeMap<String, Entry>,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    fn digest(&self) -> Result<String, serde_json::Error> {
        let fields = (self.format, &self.state, &self.score, &self.files);
        Ok(sha256(&serde_json::to_vec(&fields)?))
    }
}

/// A checkpoint read back and checked.
#[derive(Debug)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// Where the run stood.
    pub state: TrainState,
    /// File names with their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The `checkpoints` folder of a run.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
    keep: usize,
}

impl CheckpointStore {
    /// Opens or creates `folder`; `keep` newest checkpoints stay besides the best one. Half-written ones go.
    pub fn open(folder: impl Into<PathBuf>, keep: usize) -> Result<Self, TrainError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(TrainError::io(&folder, "create the folder"))?;
        let store = Self {
            folder,
            keep: keep.max(1),
        };
        for name in store.names()? {
            if name.starts_with(SCRATCH) {
                let path = store.folder.join(name);
                fs::remove_dir_all(&path)
                    .map_err(TrainError::io(&path, "remove a half-written checkpoint"))?;
            }
        }
        Ok(store)
    }

    fn names(&self) -> Result<Vec<String>, TrainError> {
        let entries =
            fs::read_dir(&self.folder).map_err(TrainError::io(&self.folder, "list the folder"))?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|e| e.path().is_dir())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:08}"))
    }

    /// Steps that have a checkpoint, oldest first.
    pub fn steps(&self) -> Result<Vec<u64>, TrainError> {
        Ok(self
            .names()?
            .iter()
            .filter_map(|n| n.strip_prefix("step-")?.parse().ok())
            .collect())
    }

    /// Saves files under one manifest: written beside, synced, then renamed into place. A failure at any
    /// moment leaves all earlier checkpoints as they were. `score` (higher is better) decides the best one.
    pub fn save(
        &self,
        state: &TrainState,
        files: &[(&str, Vec<u8>)],
        score: Option<f64>,
    ) -> Result<PathBuf, TrainError> {
        let done = self.path(state.step);
        let scratch = self.folder.join(format!("{SCRATCH}{}", std::process::id()));
        let written = self.write(&scratch, state, files, score);
        if written.is_err() && scratch.exists() {
            // The reason of the failure matters more than that of a failed clean-up.
            let _ = fs::remove_dir_all(&scratch);
        }
        written?;
        if done.exists() {
            fs::remove_dir_all(&done).map_err(TrainError::io(&done, "replace the checkpoint"))?;
        }
        fs::rename(&scratch, &done)
            .map_err(TrainError::io(&done, "put the checkpoint in place"))?;
        sync_parent(&done)?;
        self.prune()?;
        Ok(done)
    }

    fn write(
        &self,
        scratch: &Path,
        state: &TrainState,
        files: &[(&str, Vec<u8>)],
        score: Option<f64>,
    ) -> Result<(), TrainError> {
        fs::create_dir_all(scratch).map_err(TrainError::io(scratch, "create the folder"))?;
        let mut manifest = Manifest {
            format: 1,
            state: state.clone(),
            score: score.filter(|s| s.is_finite()).map(|s| s.to_string()),
            files: BTreeMap::new(),
            sha256: String::new(),
        };
        for (name, bytes) in files {
            write_synced(&scratch.join(name), bytes)?;
            manifest.files.insert(
                (*name).into(),
                Entry {
                    bytes: bytes.len() as u64,
                    sha256: sha256(bytes),
                },
            );
        }
        let encode = |e: serde_json::Error| {
            TrainError::io(scratch, "encode the manifest")(std::io::Error::other(e))
        };
        manifest.sha256 = manifest.digest().map_err(encode)?;
        let text = serde_json::to_vec_pretty(&manifest).map_err(encode)?;
        write_synced(&scratch.join(MANIFEST), &text)
    }

    /// Step and score of the best checkpoint, the earliest of equal ones. Unreadable ones are passed over.
    pub fn best(&self) -> Result<Option<(u64, f64)>, TrainError> {
        let mut best: Option<(u64, f64)> = None;
        for step in self.steps()? {
            let score = self
                .manifest(step)
                .ok()
                .and_then(|m| m.score?.parse::<f64>().ok());
            if let Some(score) = score
                && best.is_none_or(|(_, found)| score > found)
            {
                best = Some((step, score));
            }
        }
        Ok(best)
    }

    fn manifest(&self, step: u64) -> Result<Manifest, TrainError> {
        let path = self.path(step).join(MANIFEST);
        let corrupt = |reason: String| TrainError::Corrupt {
            path: path.clone(),
            reason,
        };
        let bytes = read(&path)?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| corrupt(format!("not a manifest: {e}")))?;
        if manifest.format != 1 || manifest.state.step != step {
            return Err(corrupt(format!(
                "format {} of step {}, not format 1 of step {step}",
                manifest.format, manifest.state.step
            )));
        }
        match manifest.digest() {
            Ok(digest) if digest == manifest.sha256 => Ok(manifest),
            _ => Err(corrupt("its SHA-256 is not that of its fields".into())),
        }
    }

    fn prune(&self) -> Result<(), TrainError> {
        let steps = self.steps()?;
        let best = self.best()?.map(|(step, _)| step);
        for step in steps
            .iter()
            .take(steps.len().saturating_sub(self.keep))
            .filter(|s| Some(**s) != best)
        {
            let path = self.path(*step);
            fs::remove_dir_all(&path).map_err(TrainError::io(&path, "remove an old checkpoint"))?;
        }
        Ok(())
    }

    /// Reads the checkpoint of `step` and checks every byte of it.
    pub fn load(&self, step: u64) -> Result<Checkpoint, TrainError> {
        let path = self.path(step);
        let manifest = self.manifest(step)?;
        let mut files = BTreeMap::new();
        for (name, entry) in manifest.files {
            let file = path.join(&name);
            let bytes = read(&file)?;
            if bytes.len() as u64 != entry.bytes {
                let reason = format!("{} bytes instead of {}", bytes.len(), entry.bytes);
                return Err(TrainError::Corrupt { path: file, reason });
            }
            if sha256(&bytes) != entry.sha256 {
                return Err(TrainError::Corrupt {
                    path: file,
                    reason: "its SHA-256 is not the manifest's".into(),
                });
            }
            files.insert(name, bytes);
        }
        Ok(Checkpoint {
            path,
            state: manifest.state,
            files,
        })
    }

    /// The newest checkpoint that is whole, with the reasons why newer ones are not.
    pub fn latest(&self) -> Result<(Checkpoint, Vec<TrainError>), TrainError> {
        let mut refused = vec![];
        for step in self.steps()?.into_iter().rev() {
            match self.load(step) {
                Ok(checkpoint) => return Ok((checkpoint, refused)),
                Err(reason) => refused.push(reason),
            }
        }
        let detail = refused.iter().map(|e| format!("; {e}")).collect();
        Err(TrainError::NoCheckpoint {
            path: self.folder.clone(),
            detail,
        })
    }
}

impl Checkpoint {
    /// Bytes of a file, or an error that names it.
    pub fn file(&self, name: &str) -> Result<&[u8], TrainError> {
        self.files
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| TrainError::Corrupt {
                path: self.path.join(name),
                reason: "the checkpoint has no such file".into(),
            })
    }
}
