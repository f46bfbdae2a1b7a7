//! Checkpoints: a folder for each, complete under a manifest of hashes or not there at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::files::{read, replace, sha256, sync_parent, write_synced};

const MANIFEST: &str = "manifest.json";
const BEST: &str = "best.json";

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

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    state: TrainState,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Best {
    step: u64,
    score: f64,
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
            if name.starts_with('.') {
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
        let scratch = self.folder.join(format!(".writing-{}", std::process::id()));
        let written = self.write(&scratch, state, files);
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
        if let Some(score) = score.filter(|s| s.is_finite()) {
            if self.best()?.is_none_or(|(_, best)| score > best) {
                let best = serde_json::to_vec(&Best {
                    step: state.step,
                    score,
                })
                .map_err(std::io::Error::other);
                replace(
                    &self.folder.join(BEST),
                    &best.map_err(TrainError::io(&done, "encode the score"))?,
                )?;
            }
        }
        self.prune()?;
        Ok(done)
    }

    fn write(
        &self,
        scratch: &Path,
        state: &TrainState,
        files: &[(&str, Vec<u8>)],
    ) -> Result<(), TrainError> {
        fs::create_dir_all(scratch).map_err(TrainError::io(scratch, "create the folder"))?;
        let mut manifest = Manifest {
            format: 1,
            state: state.clone(),
            files: BTreeMap::new(),
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
        let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other);
        write_synced(
            &scratch.join(MANIFEST),
            &text.map_err(TrainError::io(scratch, "encode the manifest"))?,
        )
    }

    /// Step and score of the best checkpoint.
    pub fn best(&self) -> Result<Option<(u64, f64)>, TrainError> {
        let path = self.folder.join(BEST);
        if !path.exists() {
            return Ok(None);
        }
        let best: Best =
            serde_json::from_slice(&read(&path)?).map_err(|e| TrainError::Corrupt {
                path,
                reason: format!("not a score: {e}"),
            })?;
        Ok(Some((best.step, best.score)))
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
        let manifest_path = path.join(MANIFEST);
        let manifest: Manifest =
            serde_json::from_slice(&read(&manifest_path)?).map_err(|e| TrainError::Corrupt {
                path: manifest_path.clone(),
                reason: format!("not a manifest: {e}"),
            })?;
        if manifest.format != 1 || manifest.state.step != step {
            let reason = format!(
                "format {} of step {}, not format 1 of step {step}",
                manifest.format, manifest.state.step
            );
            return Err(TrainError::Corrupt {
                path: manifest_path,
                reason,
            });
        }
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
