//! Saving and removing checkpoints.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use vlp_files::{create_folder, sync_folder};

use super::manifest::{Manifest, encode_error};
use super::{CheckpointScore, CheckpointStore, TrainState};
use crate::atomic_file::{open_lock_file, write_synced};
use crate::error::TrainError;

const PARTIAL_PREFIX: &str = ".writing-";
const LOCK_FILE: &str = ".lock";

/// The `checkpoints` folder of a run, for the process that trains it.
#[derive(Debug)]
pub struct CheckpointWriter {
    store: CheckpointStore,
    keep: usize,
    // Closing it unlocks it. The file stays: removing it would let two processes lock different files of that name.
    _lock: File,
}

impl CheckpointWriter {
    /// Creates `folder` if it does not exist and locks it until the writer is dropped or the process ends. Removes the
    /// partial checkpoints of dead processes; on a file system without locks, it removes none.
    ///
    /// [`Self::save`] keeps the newest `keep` checkpoints (at least 1) and the best one.
    ///
    /// # Errors
    /// [`TrainError::Locked`] if another writer has locked the folder, [`TrainError::Io`].
    pub fn open(folder: impl Into<PathBuf>, keep: usize) -> Result<Self, TrainError> {
        let folder = folder.into();
        create_folder(&folder).map_err(TrainError::io(&folder, "create the folder"))?;
        let lock_path = folder.join(LOCK_FILE);
        let lock = open_lock_file(&lock_path);
        let lock = lock.map_err(TrainError::io(&lock_path, "create the lock file"))?;
        let is_locked = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(TrainError::Locked { path: folder }),
            Err(TryLockError::Error(_)) => false,
        };
        let writer = Self {
            store: CheckpointStore::open(folder),
            keep: keep.max(1),
            _lock: lock,
        };
        if is_locked {
            writer.remove_partial_checkpoints()?;
        }
        Ok(writer)
    }

    /// The checkpoints of the folder.
    pub fn store(&self) -> &CheckpointStore {
        &self.store
    }

    /// Only the process that holds the lock writes partial checkpoints, so existing ones are from dead processes.
    fn remove_partial_checkpoints(&self) -> Result<(), TrainError> {
        for name in self.store.folder_names()? {
            let process = name
                .strip_prefix(PARTIAL_PREFIX)
                .map(|rest| rest.split_once('-').map_or(rest, |(process, _)| process));
            if process.is_some_and(|process| process.parse::<u32>().is_ok()) {
                let path = self.store.folder.join(name);
                fs::remove_dir_all(&path)
                    .map_err(TrainError::io(&path, "remove a half-written checkpoint"))?;
            }
        }
        Ok(())
    }

    /// Saves `files` (name, contents) as the checkpoint of `state.step`, then removes old checkpoints.
    ///
    /// The files are written to a temporary folder and synced, then the folder is renamed: if saving fails, the process is
    /// killed or power is lost, earlier checkpoints are unchanged. Returns the checkpoint's folder.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(
        &self,
        state: &TrainState,
        files: &[(&str, Vec<u8>)],
        score: Option<&CheckpointScore>,
    ) -> Result<PathBuf, TrainError> {
        let path = self.store.path(state.step);
        let manifest = Manifest::new(state, score, files).map_err(encode_error(&path))?;
        let partial = self.create_partial()?;
        if let Err(error) = write_files(&partial, files, &manifest) {
            // An error of the cleanup would hide the cause of the failure.
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        if let Err(error) = self.put_in_place(&partial, &path) {
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        self.prune(state.step)?;
        Ok(path)
    }

    /// Renames a complete checkpoint to its final name.
    fn put_in_place(&self, partial: &Path, path: &Path) -> Result<(), TrainError> {
        if path.exists() {
            self.remove(path, "replace the checkpoint")?;
        }
        fs::rename(partial, path).map_err(TrainError::io(path, "rename the checkpoint"))?;
        let folder = &self.store.folder;
        sync_folder(folder).map_err(TrainError::io(folder, "flush the folder to disk"))
    }

    /// Removes a checkpoint atomically: a process that is killed meanwhile leaves no partial checkpoint under its name.
    fn remove(&self, path: &Path, action: &'static str) -> Result<(), TrainError> {
        let failed = |error| TrainError::io(path, action)(error);
        let partial = self.create_partial()?;
        if let Err(error) = fs::rename(path, partial.join("removed")) {
            let _ = fs::remove_dir(&partial);
            return Err(failed(error));
        }
        fs::remove_dir_all(&partial).map_err(failed)
    }

    /// Creates a folder under a name that no other process uses.
    fn create_partial(&self) -> Result<PathBuf, TrainError> {
        let mut number = 0_u64;
        loop {
            let name = format!("{PARTIAL_PREFIX}{}-{number}", std::process::id());
            let partial = self.store.folder.join(name);
            match fs::create_dir(&partial) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                created => {
                    created.map_err(TrainError::io(&partial, "create the folder"))?;
                    return Ok(partial);
                }
            }
        }
    }

    /// Removes old checkpoints of a run whose newest intact checkpoint is that of `step`. Later ones are damaged: they
    /// are neither counted nor removed.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn prune(&self, step: u64) -> Result<(), TrainError> {
        let mut steps = self.store.steps()?;
        steps.retain(|&other| other <= step);
        let best = self.store.best_of(&steps)?.map(|(step, _)| step);
        for &step in &steps[..steps.len().saturating_sub(self.keep)] {
            if Some(step) != best {
                self.remove(&self.store.path(step), "remove an old checkpoint")?;
            }
        }
        Ok(())
    }
}

fn write_files(
    folder: &Path,
    files: &[(&str, Vec<u8>)],
    manifest: &Manifest,
) -> Result<(), TrainError> {
    for (name, bytes) in files {
        write_synced(&folder.join(name), bytes)?;
    }
    manifest.write(folder)?;
    // The names of the files, without which their contents are lost.
    sync_folder(folder).map_err(TrainError::io(folder, "flush the folder to disk"))
}
