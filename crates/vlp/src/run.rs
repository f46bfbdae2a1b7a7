//! The folder of a run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::config::RunConfig;
use crate::error::VlpError;

/// Name of the file that is locked while a run is trained.
const LOCK: &str = ".lock";

/// The right to train in a run folder, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    // Closing it unlocks it. The file itself stays: to remove it would take it from under one who waits to lock it.
    _file: File,
}

/// Files and folders of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The folder itself.
    pub path: PathBuf,
}

impl RunFolder {
    /// Whether a new run can be made at `path`: nothing is there, or an empty folder.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] that says what is in the way: a run that is being trained, or anything else.
    pub fn vacant(path: &Path) -> Result<(), VlpError> {
        if path.join(LOCK).is_file() && !Self::is_vacant(path)? {
            lock(path)?;
        }
        Self::check_vacant(path)
    }

    fn check_vacant(path: &Path) -> Result<(), VlpError> {
        match Self::is_vacant(path)? {
            true => Ok(()),
            false => Err(VlpError::RunFolder {
                path: path.into(),
                reason: "already exists; give another --out, or --resume it if it is a run that was stopped".into(),
            }),
        }
    }

    fn is_vacant(path: &Path) -> Result<bool, VlpError> {
        if !path.is_dir() {
            return Ok(!path.is_file());
        }
        let mut entries = fs::read_dir(path).map_err(VlpError::io(path))?.flatten();
        // A run that was killed before it began leaves the lock file alone.
        Ok(entries.all(|entry| entry.file_name() == LOCK))
    }

    /// Makes a new run folder, locks it and writes the resolved configuration into it.
    ///
    /// # Errors
    /// As [`vacant`](Self::vacant) and [`lock`](Self::lock), or where it cannot be written.
    pub fn create(
        path: impl Into<PathBuf>,
        config: &RunConfig,
    ) -> Result<(Self, RunLock), VlpError> {
        let path = path.into();
        Self::vacant(&path)?;
        fs::create_dir_all(&path).map_err(VlpError::io(&path))?;
        let held = lock(&path)?;
        // Another may have made and ended one meanwhile.
        Self::check_vacant(&path)?;
        let folder = Self { path };
        let text = toml::to_string(config).map_err(|e| VlpError::Config(e.to_string()))?;
        vlp_train::files::replace(&folder.config(), text.as_bytes())?;
        Ok((folder, held))
    }

    /// Locks the run against other processes that would train in its folder; reading it needs no lock.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] where another holds it.
    pub fn lock(&self) -> Result<RunLock, VlpError> {
        lock(&self.path)
    }

    /// Opens the folder of a run that was started before, with its configuration.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig), VlpError> {
        let folder = Self { path: path.into() };
        let file = folder.config();
        if !file.is_file() {
            let reason = "is not a run folder: it has no config.toml".into();
            return Err(VlpError::RunFolder {
                path: folder.path,
                reason,
            });
        }
        let text = fs::read_to_string(&file).map_err(VlpError::io(&file))?;
        let config = toml::from_str(&text)
            .map_err(|e| VlpError::Config(format!("{}: {e}", file.display())))?;
        Ok((folder, config))
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Per-step metrics as JSON lines.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Held-out figures before and after training.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// Names that the model's outputs mean, so that it can be used without its data.
    pub fn vocabulary(&self) -> PathBuf {
        self.path.join("vocabulary.json")
    }

    /// The page to look at.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Reads a JSON file of the run, if it is there.
    pub fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, VlpError> {
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).map_err(VlpError::io(path))?;
        let value = serde_json::from_str(&text).map_err(|e| VlpError::RunFolder {
            path: path.into(),
            reason: format!("cannot be read: {e}"),
        })?;
        Ok(Some(value))
    }

    /// Writes a JSON file of the run, whole or not at all.
    pub fn write_json<T: serde::Serialize>(&self, path: &Path, value: &T) -> Result<(), VlpError> {
        let text = serde_json::to_vec_pretty(value).map_err(|e| VlpError::RunFolder {
            path: path.into(),
            reason: format!("cannot be encoded: {e}"),
        })?;
        Ok(vlp_train::files::replace(path, &text)?)
    }
}

fn lock(folder: &Path) -> Result<RunLock, VlpError> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(VlpError::io(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(VlpError::RunFolder {
            path: folder.into(),
            reason: "another process trains there; give another --out, or wait for its end".into(),
        }),
        // A file system without locks, as some network ones, does not keep anyone from training.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(RunLock { _file: file }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{Sources, resolve};

    #[test]
    fn a_run_folder_has_one_trainer_at_a_time_and_a_file_left_behind_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        fs::write(path.join(LOCK), "").unwrap();
        let config = resolve(&Sources::default()).unwrap();
        let (run, held) = RunFolder::create(&path, &config).unwrap();
        for error in [
            RunFolder::vacant(&path).unwrap_err(),
            RunFolder::create(&path, &config).unwrap_err(),
            run.lock().unwrap_err(),
        ] {
            let line = error.to_string();
            assert!(line.contains(path.to_str().unwrap()), "{line}");
            assert!(line.contains("another process trains there"), "{line}");
        }
        // It is read while it is trained.
        assert_eq!(RunFolder::open(&path).unwrap().1, config);
        drop(held);
        run.lock().unwrap();
        let line = RunFolder::vacant(&path).unwrap_err().to_string();
        assert!(line.contains("already exists"), "{line}");
    }
}
