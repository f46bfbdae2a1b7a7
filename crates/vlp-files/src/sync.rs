//! Syncing of folders.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use crate::error::PathError;
use crate::tree::{Tree, list_tree};

/// Files for which a thread is worth its start.
const FILES_PER_THREAD: usize = 64;
/// Files that wait for the disk at once.
const MAX_THREADS: usize = 16;

/// Syncs the files and folders below `folder`, but not `folder` itself. Many files are synced in parallel: a file system
/// writes them together, while each alone waits for the disk.
///
/// # Errors
/// [`PathError`] for a file or folder that cannot be read or synced.
pub fn sync_tree(folder: &Path) -> Result<(), PathError> {
    let Tree { files, folders } = list_tree(folder)?;
    let threads = files.len().div_ceil(FILES_PER_THREAD).clamp(1, MAX_THREADS);
    let per_thread = files.len().div_ceil(threads).max(1);
    let sync = |files: &[PathBuf]| files.iter().try_for_each(|path| sync_file(path));
    thread::scope(|scope| {
        let mut parts = files.chunks(per_thread);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|files| scope.spawn(move || sync(files)))
            .collect();
        let mut result = sync(first);
        for other in others {
            let panicked = |_| {
                Err(PathError::new(folder)(io::Error::other(
                    "a thread panicked",
                )))
            };
            result = result.and(other.join().unwrap_or_else(panicked));
        }
        result
    })?;
    let sync = |path: &PathBuf| sync_folder(path).map_err(PathError::new(path));
    folders.iter().try_for_each(sync)
}

fn sync_file(path: &Path) -> Result<(), PathError> {
    // Windows syncs only what may be written to.
    let file = File::options().read(true).write(cfg!(windows)).open(path);
    let synced = file.and_then(|file| file.sync_all());
    synced.map_err(PathError::new(path))
}

/// Syncs a folder, so that its entries survive a power loss. Only Unix has an operation for this.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => fs::File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// Syncs the parent folder of `path`, so that a created or renamed file survives a power loss.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_folder(parent(path))
}

/// The parent folder of `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Creates a folder and its parents, unless they exist. New ones survive a power loss.
///
/// # Errors
/// If a folder cannot be created or synced.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        // Another process was faster.
        Err(_) if folder.is_dir() => Ok(()),
        created => created.and_then(|()| sync_parent(folder)),
    }
}
