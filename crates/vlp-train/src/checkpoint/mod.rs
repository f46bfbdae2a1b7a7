//! Checkpoints: each is a folder that is created by an atomic rename and verified by SHA-256 when it is read.

mod manifest;
mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use manifest::{Manifest, number_text};
pub use writer::CheckpointWriter;

/// Progress of a training run; weights and optimizer state are in the checkpoint's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Number of completed optimizer steps. Also the position in the data, whose order is a function of the step.
    pub step: u64,
    /// Number of skipped steps so far, for either [`SkipReason`](crate::SkipReason).
    pub skipped: u64,
    /// Number of consecutive steps up to this one whose loss or gradient was not finite.
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

/// The `checkpoints` folder of a run, for reading. It never writes or removes anything, so it may be used while a
/// [`CheckpointWriter`] saves to the folder.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    folder: PathBuf,
}

impl CheckpointStore {
    /// The checkpoints of `folder`, which is read by the other methods and may not exist yet.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn folder_names(&self) -> Result<Vec<String>, TrainError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(TrainError::io(&self.folder, "list the folder"))?,
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|e| e.path().is_dir())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(folder_name(step))
    }

    /// Steps that have a checkpoint, oldest first.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn steps(&self) -> Result<Vec<u64>, TrainError> {
        let mut steps: Vec<u64> = self
            .folder_names()?
            .iter()
            .filter_map(|name| {
                let step = name.strip_prefix("step-")?.parse().ok()?;
                // A folder with another form of the name, such as a copy named `step-7`, was not made by this crate.
                (*name == folder_name(step)).then_some(step)
            })
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Step and score of the best checkpoint, the earliest if several are equal; `None` if none has a score.
    ///
    /// Only checkpoints with the metric of the newest scored checkpoint are compared. Checkpoints with a damaged
    /// manifest are skipped.
    ///
    /// # Errors
    /// [`TrainError::Io`] if the folder cannot be listed, [`TrainError::Version`].
    pub fn best_step(&self) -> Result<Option<(u64, CheckpointScore)>, TrainError> {
        self.best_of(&self.steps()?)
    }

    /// As [`Self::best_step`], among the given steps.
    fn best_of(&self, steps: &[u64]) -> Result<Option<(u64, CheckpointScore)>, TrainError> {
        let mut best: Option<(u64, CheckpointScore)> = None;
        for &step in steps.iter().rev() {
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
    /// [`TrainError::NoStep`], which lists the available steps, if there is no such checkpoint;
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
        let mut steps = self.steps()?;
        let mut errors = vec![];
        loop {
            for &step in steps.iter().rev() {
                match self.at_step(step) {
                    Ok(checkpoint) => return Ok((checkpoint, errors)),
                    Err(error @ TrainError::Version { .. }) => return Err(error),
                    Err(error) => errors.push(error),
                }
            }
            // A writer may have replaced all of them in the meantime.
            let current = self.steps()?;
            if current.last() <= steps.last() {
                break;
            }
            steps = current;
            errors.clear();
        }
        Err(TrainError::NoCheckpoint {
            path: self.folder.clone(),
            detail: errors.iter().map(|e| format!("; {e}")).collect(),
        })
    }
}

fn folder_name(step: u64) -> String {
    format!("step-{step:08}")
}
