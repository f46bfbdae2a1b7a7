//! Checkpoints: one folder each, which appears by an atomic rename and is verified by SHA-256 when read.

mod manifest;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic_file::{sync_parent, write_synced};
use crate::error::TrainError;
use manifest::{Manifest, encode_error, number_text};

const PARTIAL_PREFIX: &str = ".writing-";

/// Progress of a training run; weights and optimizer state are in the checkpoint's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Optimizer steps done. Also the position in the data, whose order is a function of the step.
    pub step: u64,
    /// Skipped steps so far.
    pub skipped: u64,
    /// Consecutive skipped steps up to this one.
    pub skipped_in_row: u32,
    /// Hash of the configuration, which must not change when the run is resumed.
    pub config_hash: String,
}

/// Value of the metric that selects the best checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointScore {
    /// Name of the metric, for example `vqa/accuracy`.
    pub metric: String,
    /// Whether larger values of the metric are better.
    pub higher_is_better: bool,
    /// The metric's value. A checkpoint whose value is not finite is saved without a score.
    #[serde(with = "number_text")]
    pub value: f64,
}

impl CheckpointScore {
    /// Whether this score is of the same metric as `other` and not worse. False for NaN.
    fn is_at_least(&self, other: &Self) -> bool {
        self.metric == other.metric
            && self.higher_is_better == other.higher_is_better
            && match self.higher_is_better {
                true => self.value >= other.value,
                false => self.value <= other.value,
            }
    }
}

/// A checkpoint that was read and verified.
#[derive(Debug)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// Progress of the run.
    pub state: TrainState,
    /// Score of the checkpoint, if the model was evaluated at its step.
    pub score: Option<CheckpointScore>,
    /// Contents of each file by file name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Checkpoint {
    /// Contents of the file `name`.
    ///
    /// # Errors
    /// [`TrainError::Corrupt`] if the checkpoint has no such file.
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

/// The `checkpoints` folder of a run.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
    keep: usize,
}

impl CheckpointStore {
    /// Opens or creates `folder` and removes partially written checkpoints. [`Self::save`] keeps the newest `keep`
    /// checkpoints (at least 1) and the best one.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn open(folder: impl Into<PathBuf>, keep: usize) -> Result<Self, TrainError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(TrainError::io(&folder, "create the folder"))?;
        let store = Self {
            folder,
            keep: keep.max(1),
        };
        for name in store.folder_names()? {
            if name.starts_with(PARTIAL_PREFIX) {
                let path = store.folder.join(name);
                fs::remove_dir_all(&path)
                    .map_err(TrainError::io(&path, "remove a half-written checkpoint"))?;
            }
        }
        Ok(store)
    }

    fn folder_names(&self) -> Result<Vec<String>, TrainError> {
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
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn steps(&self) -> Result<Vec<u64>, TrainError> {
        Ok(self
            .folder_names()?
            .iter()
            .filter_map(|n| n.strip_prefix("step-")?.parse().ok())
            .collect())
    }

    /// Saves `files` (name, contents) as the checkpoint of `state.step`, then removes old checkpoints.
    ///
    /// The files are written to a temporary folder and synced, then the folder is renamed: if saving fails or the
    /// process is killed, earlier checkpoints are unchanged. Returns the checkpoint's folder.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(
        &self,
        state: &TrainState,
        files: &[(&str, Vec<u8>)],
        score: Option<&CheckpointScore>,
    ) -> Result<PathBuf, TrainError> {
        let path = self.path(state.step);
        let partial = self
            .folder
            .join(format!("{PARTIAL_PREFIX}{}", std::process::id()));
        let manifest = Manifest::new(state, score, files).map_err(encode_error(&path))?;
        if let Err(error) = write_files(&partial, files, &manifest) {
            // An error of the clean-up would hide the reason of the failure.
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        if path.exists() {
            fs::remove_dir_all(&path).map_err(TrainError::io(&path, "replace the checkpoint"))?;
        }
        fs::rename(&partial, &path).map_err(TrainError::io(&path, "rename the checkpoint"))?;
        sync_parent(&path)?;
        self.prune()?;
        Ok(path)
    }

    fn prune(&self) -> Result<(), TrainError> {
        let steps = self.steps()?;
        let best = self.best_step()?.map(|(step, _)| step);
        for &step in &steps[..steps.len().saturating_sub(self.keep)] {
            if Some(step) != best {
                let path = self.path(step);
                fs::remove_dir_all(&path)
                    .map_err(TrainError::io(&path, "remove an old checkpoint"))?;
            }
        }
        Ok(())
    }

    /// Step and score of the best checkpoint, the earliest if several are equal; `None` if none has a score.
    ///
    /// Only checkpoints with the metric of the newest scored checkpoint are compared. Checkpoints with a damaged
    /// manifest are skipped.
    ///
    /// # Errors
    /// [`TrainError::Io`] if the folder cannot be listed, [`TrainError::Version`].
    pub fn best_step(&self) -> Result<Option<(u64, CheckpointScore)>, TrainError> {
        let mut best: Option<(u64, CheckpointScore)> = None;
        for step in self.steps()?.into_iter().rev() {
            let score = match Manifest::read(&self.path(step), step) {
                Ok(manifest) => manifest.score,
                Err(error @ TrainError::Version { .. }) => return Err(error),
                Err(_) => None,
            };
            if let Some(score) = score
                && best
                    .as_ref()
                    .is_none_or(|(_, best)| score.is_at_least(best))
            {
                best = Some((step, score));
            }
        }
        Ok(best)
    }

    /// Reads the best checkpoint, see [`Self::best_step`].
    ///
    /// # Errors
    /// [`TrainError::NoScore`] if no checkpoint has a score; otherwise as [`Self::at_step`].
    pub fn best(&self) -> Result<Checkpoint, TrainError> {
        match self.best_step()? {
            Some((step, _)) => self.at_step(step),
            None => Err(TrainError::NoScore {
                path: self.folder.clone(),
            }),
        }
    }

    /// Reads the checkpoint of `step` and verifies every byte of it.
    ///
    /// # Errors
    /// [`TrainError::NoStep`] if there is no such checkpoint, which lists the steps there are;
    /// [`TrainError::Version`], [`TrainError::Corrupt`] or [`TrainError::Io`].
    pub fn at_step(&self, step: u64) -> Result<Checkpoint, TrainError> {
        let path = self.path(step);
        if !path.is_dir() {
            let steps: Vec<String> = self.steps()?.iter().map(u64::to_string).collect();
            return Err(TrainError::NoStep {
                path: self.folder.clone(),
                step,
                steps: match steps.is_empty() {
                    true => "none".into(),
                    false => steps.join(", "),
                },
            });
        }
        let manifest = Manifest::read(&path, step)?;
        let mut files = BTreeMap::new();
        for (name, entry) in manifest.files {
            let bytes = entry.read(&path.join(&name))?;
            files.insert(name, bytes);
        }
        Ok(Checkpoint {
            path,
            state: manifest.state,
            score: manifest.score,
            files,
        })
    }

    /// The newest intact checkpoint, and the errors of newer ones that are damaged.
    ///
    /// # Errors
    /// [`TrainError::NoCheckpoint`] if none is intact; [`TrainError::Version`].
    pub fn latest(&self) -> Result<(Checkpoint, Vec<TrainError>), TrainError> {
        let mut errors = vec![];
        for step in self.steps()?.into_iter().rev() {
            match self.at_step(step) {
                Ok(checkpoint) => return Ok((checkpoint, errors)),
                Err(error @ TrainError::Version { .. }) => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        Err(TrainError::NoCheckpoint {
            path: self.folder.clone(),
            detail: errors.iter().map(|e| format!("; {e}")).collect(),
        })
    }
}

fn write_files(
    folder: &Path,
    files: &[(&str, Vec<u8>)],
    manifest: &Manifest,
) -> Result<(), TrainError> {
    fs::create_dir_all(folder).map_err(TrainError::io(folder, "create the folder"))?;
    for (name, bytes) in files {
        write_synced(&folder.join(name), bytes)?;
    }
    manifest.write(folder)
}
