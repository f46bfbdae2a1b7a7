//! Files that are written completely or not at all.

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

/// Replaces a file by an atomic rename: readers see either the old contents or the new, also after a loss of power.
///
/// # Errors
/// [`TrainError::Io`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let failed = TrainError::io(path, "write the file (is the disk full?)");
    vlp_files::write_whole(path, bytes).map_err(failed)
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
