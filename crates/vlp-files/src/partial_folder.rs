use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::partial_name;
use crate::sync::{create_folder, parent, sync_folder, sync_parent};

/// A new folder that is renamed to its final path when it is finished. Dropping it removes it and its contents.
#[derive(Debug)]
pub struct PartialFolder {
    target: PathBuf,
    path: PathBuf,
    /// Locked while it is open; `None` on systems whose folders cannot be opened.
    _lock: Option<File>,
    is_finished: bool,
}

impl PartialFolder {
    /// Creates an empty folder next to `path`, and its parents. If `path` is a link to a folder, that is the folder to
    /// replace.
    ///
    /// # Errors
    /// If it cannot be created, or if there is a file, the current folder or a mount point at `path`, which cannot be
    /// replaced. A folder that is not empty is no error yet: [`Self::finish`] fails if it is not emptied by then.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = replaceable(path.into())?;
        create_folder(parent(&path))?;
        let create = |partial: &Path| {
            fs::create_dir(partial)?;
            Ok(File::open(partial).ok())
        };
        let (lock, partial) = partial_name::create(&path, create, Option::as_ref)?;
        Ok(Self {
            target: path,
            path: partial,
            _lock: lock,
            is_finished: false,
        })
    }

    /// The folder until it is finished.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the entries of the folder and renames it to its final path, at which there may be nothing or an empty
    /// folder. The files in it must have been synced.
    ///
    /// # Errors
    /// If the folder at its path is not empty, which then stays as it is; if it cannot be synced or renamed, and there is
    /// then nothing or an empty folder at its path; if its parent cannot be synced, and it is then at its path.
    pub fn finish(mut self) -> io::Result<()> {
        sync_folder(&self.path)?;
        if self.target.is_dir() {
            // Some systems cannot rename onto an existing folder, even an empty one.
            fs::remove_dir(&self.target)?;
        }
        fs::rename(&self.path, &self.target)?;
        self.is_finished = true;
        sync_parent(&self.target)
    }
}

/// The path to rename a folder to. What stands in its way is an error now, and not when the work is done.
fn replaceable(path: PathBuf) -> io::Result<PathBuf> {
    if !path.is_dir() {
        return match path.symlink_metadata() {
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it exists and is not a folder",
            )),
            Err(_) => Ok(path),
        };
    }
    let path = fs::canonicalize(path)?;
    if env::current_dir().is_ok_and(|current| current == path) {
        return Err(io::Error::other(
            "it is the current folder, which cannot be replaced; name a new one",
        ));
    }
    // A mount point cannot be removed even if it is empty.
    match fs::remove_dir(&path) {
        // It may be emptied until the new folder is finished.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        removed => removed.and_then(|()| fs::create_dir(&path))?,
    }
    Ok(path)
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        if !self.is_finished {
            // An error of the cleanup would hide the cause of the failure.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
