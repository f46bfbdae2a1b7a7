use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::partial_name;
use crate::sync::sync_parent;

/// A file that replaces the one at its path when it is finished. Dropping it removes it.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    is_finished: bool,
}

impl PartialFile {
    /// Creates an empty file next to `path`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let create = |partial: &Path| File::create_new(partial);
        let (file, partial) = partial_name::create(&path, create, |file| Some(file))?;
        Ok(Self {
            path,
            partial,
            file,
            is_finished: false,
        })
    }

    /// Syncs the file and gives it its path.
    ///
    /// # Errors
    /// If it cannot be synced or renamed; the file at its path is then the old one. If only the folder cannot be synced, it is
    /// the new one.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.path)?;
        self.is_finished = true;
        sync_parent(&self.path)
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for PartialFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // An error of the clean-up would hide the reason of the failure.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Writes a file, or replaces it: readers see the old contents or the new.
///
/// # Errors
/// As [`PartialFile::create`] and [`PartialFile::finish`], or if the bytes cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = PartialFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}
