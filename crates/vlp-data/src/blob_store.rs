use std::{
    fmt,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::DataError;

/// A file of a [`BlobStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name in the store, such as `000017.tar`.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Changes when the content does: a file's times, an object's ETag. Empty if unknown.
    pub version: String,
}

/// A set of files with reads of byte ranges: a folder, or a bucket of an object store. Shared by the loader's threads.
pub trait BlobStore: fmt::Debug + Send + Sync {
    /// The path or URL, for messages.
    fn name(&self) -> &str;

    /// The files, sorted by name; `None` if the store cannot list them, as with plain HTTP.
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn list(&self) -> Result<Option<Vec<Blob>>, DataError>;

    /// The metadata of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// If the store cannot be reached.
    fn head(&self, name: &str) -> Result<Option<Blob>, DataError>;

    /// `len` bytes of a file from offset `start`.
    ///
    /// # Errors
    /// If the file cannot be read or is shorter.
    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError>;
}

/// The files of a local folder, or a single one of them.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    single_file: Option<String>,
    name: String,
}

impl Folder {
    /// The files in a folder (without those in subfolders), or a single file.
    ///
    /// # Errors
    /// [`DataError::Missing`] if the path is neither a folder nor a file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataError> {
        let path = path.into();
        let name = path.display().to_string();
        if path.is_dir() {
            return Ok(Self {
                path,
                single_file: None,
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
                    single_file: Some(file.into()),
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

/// The modification time of a file and, on Unix, its change time, because a copy may preserve the former.
pub(crate) fn file_times(metadata: &fs::Metadata) -> String {
    let modified = metadata.modified().ok();
    let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    #[cfg_attr(not(unix), expect(unused_mut, reason = "appended to on Unix"))]
    let mut times = age.map_or_else(String::new, |age| age.as_nanos().to_string());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        times += &format!(" {}.{}", metadata.ctime(), metadata.ctime_nsec());
    }
    times
}

impl BlobStore for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        let mut names = match &self.single_file {
            Some(file) => vec![file.clone()],
            None => fs::read_dir(&self.path)
                .map_err(DataError::io(&self.path))?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
        };
        names.sort();
        let blobs = names.iter().filter_map(|name| self.head(name).transpose());
        blobs.collect::<Result<_, _>>().map(Some)
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        if self.single_file.as_ref().is_some_and(|file| file != name) {
            return Ok(None);
        }
        let path = self.path.join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Blob {
                name: name.into(),
                bytes: metadata.len(),
                version: file_times(&metadata),
            })),
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
            "it ends at byte {}; bytes {start} to {} were requested",
            start + bytes.len() as u64,
            start.saturating_add(len as u64)
        );
        Err(DataError::Format { path, reason })
    }
}
