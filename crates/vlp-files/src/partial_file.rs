use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::partial_name;
use crate::sync::sync_parent;

/// A file that replaces the one at its path when it is finished. Dropping it without [`Self::finish`] deletes the temporary
/// file; the path is unchanged.
///
/// If the path is a symbolic link to a file, the link is kept and that file is replaced; a link to nothing is replaced
/// itself. A pipe or a device, such as `/dev/stdout`, is written to directly.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    /// `None` for pipes and devices.
    partial: Option<PathBuf>,
    file: File,
}

impl PartialFile {
    /// Creates an empty file next to `path`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if is_device(&path) {
            let file = File::options().write(true).open(&path)?;
            let partial = None;
            return Ok(Self {
                path,
                partial,
                file,
            });
        }
        // The end of a chain of links.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let create = |partial: &Path| File::create_new(partial);
        let (file, partial) = partial_name::create(&path, create, |file| Some(file))?;
        Ok(Self {
            path,
            partial: Some(partial),
            file,
        })
    }

    /// Syncs the file and renames it to its final path. What was written to a pipe or a device is only flushed.
    ///
    /// # Errors
    /// If the file cannot be synced or renamed; the path is then unchanged. If only its folder cannot be synced, the path has
    /// the new file.
    pub fn finish(self) -> io::Result<()> {
        self.finish_by(|partial, path| fs::rename(partial, path))
    }

    /// As [`Self::finish`], but what another process has put at the path by now stays there.
    ///
    /// # Errors
    /// As [`Self::finish`]; of the kind [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is something at the path.
    pub fn finish_new(self) -> io::Result<()> {
        // Unlike a rename, a link replaces nothing.
        self.finish_by(|partial, path| match fs::hard_link(partial, path) {
            Ok(()) => fs::remove_file(partial),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Not every file system has links.
            Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(partial, path),
        })
    }

    /// Syncs the file, and has `put` move it to its final path.
    fn finish_by(mut self, put: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        let Some(partial) = &self.partial else {
            return self.file.flush();
        };
        self.file.sync_all()?;
        put(partial, &self.path)?;
        self.partial = None;
        sync_parent(&self.path)
    }
}

/// Whether there is something other than a file or folder at a path. Temporary files are never written to `/dev`, whatever
/// its links point to: `/dev/stdout` may be a file that the process has open. `/dev/shm` is a folder as others are.
fn is_device(path: &Path) -> bool {
    let in_devices = path.starts_with("/dev") && !path.starts_with("/dev/shm");
    fs::metadata(path).is_ok_and(|m| in_devices || !m.is_file() && !m.is_dir())
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
        if let Some(partial) = &self.partial {
            // An error of the cleanup would hide the cause of the failure.
            let _ = fs::remove_file(partial);
        }
    }
}

/// Writes and syncs a file in a folder that is not complete itself, such as a [`PartialFolder`](crate::PartialFolder). Sync
/// the folder after its last file.
///
/// # Errors
/// If it cannot be created, written or synced.
pub fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
