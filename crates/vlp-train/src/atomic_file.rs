//! Files that are written completely or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::TrainError;

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Writes and syncs a new file.
///
/// # Errors
/// [`TrainError::Io`].
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut file = File::create(path).map_err(TrainError::io(path, "create the file"))?;
    file.write_all(bytes)
        .map_err(TrainError::io(path, "write the file (is the disk full?)"))?;
    file.sync_all()
        .map_err(TrainError::io(path, "flush the file to disk"))
}

/// Replaces a file by an atomic rename: readers see either the old contents or the new.
///
/// The temporary file is next to it, under a name that no other process uses.
///
/// # Errors
/// [`TrainError::Io`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let renamed = write_synced(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, path).map_err(TrainError::io(path, "rename the file"))
    });
    if renamed.is_err() {
        // An error of the clean-up would hide the reason of the failure.
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    sync_parent(path)
}

/// Syncs the parent folder, which makes a rename in it durable.
///
/// # Errors
/// [`TrainError::Io`].
pub fn sync_parent(path: &Path) -> Result<(), TrainError> {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folder = File::open(parent).map_err(TrainError::io(parent, "open the folder"))?;
    folder
        .sync_all()
        .map_err(TrainError::io(parent, "flush the folder to disk"))
}

/// Opens a file to lock it, and creates it if it does not exist. Its contents stay: it may be the file of another program.
///
/// # Errors
/// If it cannot be opened.
pub fn open_lock_file(path: &Path) -> std::io::Result<File> {
    File::options().append(true).create(true).open(path)
}

/// Reads a whole file.
///
/// # Errors
/// [`TrainError::Io`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, TrainError> {
    fs::read(path).map_err(TrainError::io(path, "read the file"))
}
