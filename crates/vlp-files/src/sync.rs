//! Syncing of folders.

use std::fs;
use std::io;
use std::path::Path;

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
