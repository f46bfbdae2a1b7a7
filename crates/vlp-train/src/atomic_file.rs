//! Atomic file writes.

use std::fs::{self, File};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::TrainError;

/// The operation that failed, for error messages.
const WRITE: &str = "write the file (is the disk full?)";

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
    vlp_files::write_synced(path, bytes).map_err(TrainError::io(path, WRITE))
}

/// Replaces a file by an atomic rename: readers see either the old or the new contents, even after a power loss.
///
/// # Errors
/// [`TrainError::Io`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    vlp_files::write_whole(path, bytes).map_err(TrainError::io(path, WRITE))
}

/// Opens a file to lock it, and creates it if it does not exist. Its contents are not changed: it may belong to another
/// program.
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
