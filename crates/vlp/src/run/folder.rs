//! The folder of a run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use vlp_files::{create_folder, is_partial_of, sync_folder};
use vlp_text::WordPieceTokenizer;
use vlp_train::atomic_file::{open_lock_file, write_atomic};

use super::results::Results;
use crate::config::RunConfig;
use crate::error::VlpError;

/// Name of the file that is locked while a run is trained.
const LOCK_FILE: &str = ".lock";
const CONFIG_FILE: &str = "config.toml";
const TOKENIZER_FILE: &str = "tokenizer.json";

/// The lock of a run folder during training, released when it is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    // Closing the file unlocks it. The file is not removed: otherwise two processes could lock different files of that name.
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
        let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        // A run that was killed before it began leaves no more than these. The next one writes them again, which also
        // removes partial files.
        let is_of_start = |name: &str| {
            let is_partial = |file| is_partial_of(name, file);
            [LOCK_FILE, TOKENIZER_FILE].contains(&name)
                || [TOKENIZER_FILE, CONFIG_FILE].into_iter().any(is_partial)
        };
        let mut names = names.iter().map(|name| name.to_str());
        let is_start = names.clone().any(|name| name == Some(LOCK_FILE))
            && names.clone().all(|name| name.is_some_and(is_of_start));
        Ok(is_start || names.next().is_none())
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
        create_folder(&path).map_err(VlpError::io(&path))?;
        let run_lock = lock(&path)?;
        // Must be the first file to survive a power loss: it distinguishes an interrupted start from a folder of other
        // files.
        sync_folder(&path).map_err(VlpError::io(&path))?;
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
            return Err(folder.no_run());
        }
        let text = fs::read_to_string(&file).map_err(VlpError::io(&file))?;
        let config: RunConfig = toml::from_str(&text).map_err(|e| older_version(&file, &e))?;
        let invalid = |e: VlpError| VlpError::RunFolder {
            path: file,
            reason: e.to_string(),
        };
        config.validate_evaluation().map_err(invalid)?;
        Ok((folder, config))
    }

    /// The error of a folder without `config.toml`.
    fn no_run(self) -> VlpError {
        let is_there = |file: &str| self.path.join(file).symlink_metadata().is_ok();
        let of_model = ["config.json", "model.safetensors"];
        let lacking = of_model.iter().find(|file| !self.path.join(file).is_file());
        let reason = match lacking {
            Some(file) if of_model.into_iter().any(is_there) => format!(
                "is not a run folder: it has no config.toml; nor is it an exported model: {file} is missing or not a file"
            ),
            _ => "is not a run folder: it has no config.toml".into(),
        };
        VlpError::RunFolder {
            path: self.path,
            reason,
        }
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG_FILE)
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
        self.path.join(TOKENIZER_FILE)
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

    /// Reads the metrics of the run, bit for bit; `None` if there are none yet.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] if they were written by an older version.
    pub fn read_results(&self) -> Result<Option<Results>, VlpError> {
        let path = self.results();
        let Some(mut results) = self.read_json::<Results>(&path)? else {
            return Ok(None);
        };
        let text = fs::read_to_string(&path).map_err(VlpError::io(&path))?;
        results.restore_last_digits(&text);
        Ok(Some(results))
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

/// The error for a file of a run that does not have this version's format.
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
    fn a_run_that_was_killed_before_it_began_leaves_its_folder_vacant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        let left = [
            LOCK_FILE,
            TOKENIZER_FILE,
            ".tokenizer.json.7-0.partial",
            ".config.toml.7-0.partial",
        ];
        left.iter()
            .for_each(|name| fs::write(path.join(name), "half").unwrap());
        let config = resolve(&Sources::default()).unwrap();
        let tokenizer = WordPieceTokenizer::scenes();
        RunFolder::create(&path, &config, &tokenizer).unwrap();
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [LOCK_FILE, CONFIG_FILE, TOKENIZER_FILE]);
        // Anything else belongs to someone else.
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        for name in [LOCK_FILE, ".notes.7-0.partial"] {
            fs::write(other.join(name), "").unwrap();
        }
        assert!(RunFolder::check_vacant(&other).is_err());
        let tokenizer = folder.path().join("tokenizer");
        fs::create_dir(&tokenizer).unwrap();
        fs::write(tokenizer.join(TOKENIZER_FILE), "").unwrap();
        assert!(RunFolder::check_vacant(&tokenizer).is_err());
    }

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
