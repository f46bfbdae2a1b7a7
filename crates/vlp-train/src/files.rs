//! Files written whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::TrainError;

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Writes and syncs a new file.
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut file = File::create(path).map_err(TrainError::io(path, "create the file"))?;
    file.write_all(bytes)
        .map_err(TrainError::io(path, "write the file (is the disk full?)"))?;
    file.sync_all()
        .map_err(TrainError::io(path, "flush the file to disk"))
}

/// Replaces a file in one step: readers see the old bytes or the new ones.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let scratch = path.with_extension("tmp");
    write_synced(&scratch, bytes)?;
    fs::rename(&scratch, path).map_err(TrainError::io(path, "put the file in place"))?;
    sync_parent(path)
}

/// Makes a rename in the parent folder durable.
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

/// Reads a file whole.
pub fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    fs::read(path).map_err(TrainError::io(path, "read the file"))
}
