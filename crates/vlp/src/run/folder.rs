//! The folder of a run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use vlp_text::WordPieceTokenizer;
use vlp_train::atomic_file::{open_lock_file, write_atomic};

use crate::config::RunConfig;
use crate::error::VlpError;

/// Name of the file that is locked while a run is trained.
const LOCK_FILE: &str = ".lock";

/// The lock of a run folder during training, released when it is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    // Closing it unlocks it. The file stays: removing it would let two processes lock different files of that name.
    _file: File,
}

/// Files and folders of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The folder itself.
    pub path: PathBuf,
}

impl RunFolder {
    /// Checks that a new run can be created at `path`: it does not exist, or is an empty folder.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] if another process trains there, or something exists there.
    pub fn check_vacant(path: &Path) -> Result<(), VlpError> {
        if Self::is_vacant(path)? {
            return Ok(());
        }
        if path.join(LOCK_FILE).is_file() {
            lock(path)?;
        }
        Err(already_exists(path))
    }

    fn is_vacant(path: &Path) -> Result<bool, VlpError> {
        if !path.is_dir() {
            return Ok(!path.is_file());
        }
        let entries = fs::read_dir(path).map_err(VlpError::io(path))?.flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        // A run that was killed before it began leaves only the lock file, or its tokenizer too.
        Ok(names.is_empty() || names == [LOCK_FILE] || names == [LOCK_FILE, "tokenizer.json"])
    }

    /// Creates and locks a new run folder and writes the tokenizer and the resolved configuration into it.
    ///
    /// # Errors
    /// As [`check_vacant`](Self::check_vacant) and [`lock`](Self::lock), or if it cannot be written.
    pub fn create(
        path: impl Into<PathBuf>,
        config: &RunConfig,
        tokenizer: &WordPieceTokenizer,
    ) -> Result<(Self, RunLock), VlpError> {
        let path = path.into();
        Self::check_vacant(&path)?;
        fs::create_dir_all(&path).map_err(VlpError::io(&path))?;
        let run_lock = lock(&path)?;
        // Another process may have created a run since the first check.
        if !Self::is_vacant(&path)? {
            return Err(already_exists(&path));
        }
        let folder = Self { path };
        let tokenizer = tokenizer.to_tokenizer_json()?;
        write_atomic(&folder.tokenizer(), tokenizer.as_bytes())?;
        let text = toml::to_string(config).map_err(|e| VlpError::Config(e.to_string()))?;
        write_atomic(&folder.config(), text.as_bytes())?;
        Ok((folder, run_lock))
    }

    /// Locks the run for training. Reading it needs no lock.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] if another process has locked it.
    pub fn lock(&self) -> Result<RunLock, VlpError> {
        lock(&self.path)
    }

    /// Opens an existing run folder and reads its configuration.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] if the folder is not a run or was written by an older version.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig), VlpError> {
        let folder = Self { path: path.into() };
        let file = folder.config();
        if !file.is_file() {
            return Err(VlpError::RunFolder {
                path: folder.path,
                reason: "is not a run folder: it has no config.toml".into(),
            });
        }
        let text = fs::read_to_string(&file).map_err(VlpError::io(&file))?;
        let config = toml::from_str(&text).map_err(|e| older_version(&file, &e))?;
        Ok((folder, config))
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Metrics of each step as JSON lines.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Validation metrics before and after training.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// Names of the model's outputs, for use of the model without its data.
    pub fn vocabulary(&self) -> PathBuf {
        self.path.join("vocabulary.json")
    }

    /// The run's copy of its tokenizer.
    pub fn tokenizer(&self) -> PathBuf {
        self.path.join("tokenizer.json")
    }

    /// The HTML report.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Reads a JSON file of the run, `None` if it does not exist.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] if it was written by an older version.
    pub fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, VlpError> {
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).map_err(VlpError::io(path))?;
        let value = serde_json::from_str(&text).map_err(|e| older_version(path, &e))?;
        Ok(Some(value))
    }

    /// Writes a JSON file of the run by an atomic rename.
    ///
    /// # Errors
    /// [`VlpError::Train`] if it cannot be written.
    pub fn write_json<T: serde::Serialize>(&self, path: &Path, value: &T) -> Result<(), VlpError> {
        let text = serde_json::to_vec_pretty(value).map_err(|e| VlpError::RunFolder {
            path: path.into(),
            reason: format!("cannot be encoded: {e}"),
        })?;
        Ok(write_atomic(path, &text)?)
    }
}

fn already_exists(path: &Path) -> VlpError {
    VlpError::RunFolder {
        path: path.into(),
        reason: "already exists; use another --out, or --resume it if it is a run that was stopped"
            .into(),
    }
}

/// The error for a file of a run that is not as this version writes it.
fn older_version(path: &Path, error: &dyn std::fmt::Display) -> VlpError {
    VlpError::RunFolder {
        path: path.into(),
        reason: format!("damaged, or written by an older version: {error}"),
    }
}

fn lock(folder: &Path) -> Result<RunLock, VlpError> {
    let path = folder.join(LOCK_FILE);
    let file = open_lock_file(&path).map_err(VlpError::io(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(VlpError::RunFolder {
            path: folder.into(),
            reason: "another process trains there; use another --out, or wait until it ends".into(),
        }),
        // Some network file systems have no locks; training is allowed there.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(RunLock { _file: file }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{Sources, resolve};

    #[test]
    fn run_folder_is_locked_by_one_trainer_and_stale_lock_files_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        fs::write(path.join(LOCK_FILE), "").unwrap();
        let config = resolve(&Sources::default()).unwrap();
        let tokenizer = WordPieceTokenizer::scenes();
        let (run, run_lock) = RunFolder::create(&path, &config, &tokenizer).unwrap();
        for error in [
            RunFolder::check_vacant(&path).unwrap_err(),
            RunFolder::create(&path, &config, &tokenizer).unwrap_err(),
            run.lock().unwrap_err(),
        ] {
            let line = error.to_string();
            assert!(line.contains(path.to_str().unwrap()), "{line}");
            assert!(line.contains("another process trains there"), "{line}");
        }
        // Reading is possible during training.
        assert_eq!(RunFolder::open(&path).unwrap().1, config);
        drop(run_lock);
        run.lock().unwrap();
        let line = RunFolder::check_vacant(&path).unwrap_err().to_string();
        assert!(line.contains("already exists"), "{line}");
    }
}
