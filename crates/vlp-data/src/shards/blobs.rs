use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::DataError;

/// A file of a [`Blobs`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name in its place, such as `000017.tar`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What is another when the content is: a file's time of last change, an object's ETag. Empty where unknown.
    pub version: String,
}

/// A place of files that are read piece by piece: a folder, a bucket of an object store. Shared by the loader's threads.
pub trait Blobs: Send + Sync {
    /// The place, for messages: a path or URL.
    fn name(&self) -> &str;

    /// The files, sorted by name; `None` where the place cannot tell, as plain HTTP cannot.
    ///
    /// # Errors
    /// When the place cannot be reached.
    fn list(&self) -> Result<Option<Vec<Blob>>, DataError>;

    /// One file without its content; `None` where there is none of this name.
    ///
    /// # Errors
    /// When the place cannot be reached.
    fn head(&self, name: &str) -> Result<Option<Blob>, DataError>;

    /// `len` bytes of a file from `start` on.
    ///
    /// # Errors
    /// When the file cannot be read or has fewer bytes.
    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError>;
}

/// The files of a local folder, or one of them alone.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    only: Option<String>,
    name: String,
}

impl Folder {
    /// The files in a folder, not those of its folders; or a single file.
    ///
    /// # Errors
    /// [`DataError::Missing`] where there is neither.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataError> {
        let path = path.into();
        let name = path.display().to_string();
        if path.is_dir() {
            return Ok(Self {
                path,
                only: None,
                name,
            });
        }
        match (
            path.parent(),
            path.file_name().and_then(|name| name.to_str()),
        ) {
            (Some(folder), Some(file)) if path.is_file() => {
                let folder = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                Ok(Self {
                    path: folder.into(),
                    only: Some(file.into()),
                    name: folder.display().to_string(),
                })
            }
            _ => Err(DataError::Missing {
                path,
                reason: "no such folder of shards, and no such shard".into(),
            }),
        }
    }
}

impl Blobs for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let mut names = match &self.only {
            Some(only) => vec![only.clone()],
            None => fs::read_dir(&self.path)
                .map_err(DataError::io(&self.path))?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
        };
        names.sort();
        let heads = names.iter().filter_map(|name| self.head(name).transpose());
        heads.collect::<Result<_, _>>().map(Some)
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        if self.only.as_ref().is_some_and(|only| only != name) {
            return Ok(None);
        }
        let path = self.path.join(name);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {
                let changed = meta.modified().ok();
                let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                Ok(Some(Blob {
                    name: name.into(),
                    bytes: meta.len(),
                    version: since.map_or_else(String::new, |since| since.as_nanos().to_string()),
                }))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DataError::io(path)(error)),
        }
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        let path = self.path.join(name);
        let mut file = File::open(&path).map_err(DataError::io(&path))?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.take(len as u64).read_to_end(&mut bytes))
            .map_err(DataError::io(&path))?;
        if bytes.len() == len {
            return Ok(bytes);
        }
        let reason = format!(
            "it ends at byte {}; bytes {start} to {} were wanted",
            start + bytes.len() as u64,
            start.saturating_add(len as u64)
        );
        Err(DataError::Format { path, reason })
    }
}
