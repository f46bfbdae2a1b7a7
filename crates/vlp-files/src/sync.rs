//! Names that stay after a loss of power.

use std::fs;
use std::io;
use std::path::Path;

/// Syncs a folder, so that the names in it stay after a loss of power. Only Unix has an operation for this.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => fs::File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// Syncs the folder that `path` is in, so that a file that was created or renamed stays there.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_folder(parent(path))
}

/// The folder that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Creates a folder and those above it, unless they exist. New ones stay after a loss of power.
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
