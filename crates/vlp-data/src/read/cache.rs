//! Caches the index of annotation files in one file, which is read back much faster than they are.
//!
//! The file holds the version of its layout, the version of this crate and its readers, and for every input its path, length,
//! modification time and CRC-32C (for a folder only the path). It also holds the names in every folder that was searched for
//! images, as a hash, and length and times of every image whose size was read from its header. If any of these differs, or the
//! file is damaged, the index is rebuilt and the file replaced, but a file that is not a cache, or cannot be read, is left alone: a
//! cache never causes an error. [`CacheState`] says what happened.
//!
//! ```no_run
//! use vlp_data::{Limits, read::{CocoFiles, cache, coco}};
//!
//! let files = CocoFiles::find("coco", Some("train2017"))?;
//! let cached = cache::open_or_build("coco.index".as_ref(), &files.inputs(), "", || {
//!     coco(&files, &Limits::default())
//! })?;
//! println!("{}: {}", cached.state, cached.source.report());
//! # Ok::<(), vlp_data::DataError>(())
//! ```

use std::{
    ffi::OsStr,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use vlp_files::write_whole;

use super::folders::Listing;
use crate::{DataError, FileSource, blob_store::file_times};

const MAGIC: [u8; 8] = *b"vlpindex";
/// To be increased whenever a stored structure changes; also the version of the indices of packed shards.
pub(crate) const LAYOUT: u32 = 5;
/// Version of what the readers make of files, besides that of this crate; to be increased whenever one of them makes something
/// else of the same files.
const READERS: &str = concat!(env!("CARGO_PKG_VERSION"), "+3");
const NOT_A_CACHE: &str = "the file is not a cache";
const HEADER_LEN: usize = MAGIC.len() + 8;

/// Inputs and options of an index: it is read back only if all are equal.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheKey {
    crate_version: String,
    options: String,
    inputs: Vec<Input>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Input {
    name: String,
    bytes: u64,
    version: String,
    crc32c: Option<u32>,
}

/// A source, and whether its index came from the cache.
#[derive(Debug)]
pub struct CachedSource {
    /// The source.
    pub source: FileSource,
    /// What happened to the cache file.
    pub state: CacheState,
}

/// What happened to a cache file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheState {
    /// No cache file was requested.
    Disabled,
    /// The index was read from it.
    Hit,
    /// The index was built and the file written, for this reason.
    Rebuilt(String),
    /// The index was built, but the file could not be written, or is not a cache that may be replaced, for this reason.
    NotWritten(String),
}

impl fmt::Display for CacheState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(f, "index built"),
            Self::Hit => write!(f, "index read from its cache"),
            Self::Rebuilt(reason) => write!(f, "index built: {reason}"),
            Self::NotWritten(reason) => write!(f, "index built, its cache not written: {reason}"),
        }
    }
}

/// Reads the index from `path`, or builds it and writes it there.
///
/// `inputs` are all files and folders that `build` reads; `options` describes everything else that its result depends on.
///
/// # Errors
/// If an input is missing, and those of `build`.
pub fn open_or_build(
    path: &Path,
    inputs: &[PathBuf],
    options: &str,
    build: impl FnOnce() -> Result<FileSource, DataError>,
) -> Result<CachedSource, DataError> {
    open_with_key(path, &CacheKey::of_files(inputs, options)?, build)
}

pub(crate) fn open_with_key(
    path: &Path,
    key: &CacheKey,
    build: impl FnOnce() -> Result<FileSource, DataError>,
) -> Result<CachedSource, DataError> {
    let unused = match read(path, key) {
        Ok(source) => {
            let state = CacheState::Hit;
            return Ok(CachedSource { source, state });
        }
        Err(state) => state,
    };
    let source = build()?;
    let state = match unused {
        CacheState::Rebuilt(reason) => match write(path, key, &source) {
            Ok(()) => CacheState::Rebuilt(reason),
            Err(reason) => CacheState::NotWritten(reason),
        },
        left_alone => left_alone,
    };
    Ok(CachedSource { source, state })
}

impl CachedSource {
    pub(crate) fn uncached(source: FileSource) -> Self {
        let state = CacheState::Disabled;
        Self { source, state }
    }
}

impl CacheKey {
    fn new(options: String, inputs: Vec<Input>) -> Self {
        Self {
            crate_version: READERS.into(),
            options,
            inputs,
        }
    }

    fn of_files(inputs: &[PathBuf], options: &str) -> Result<Self, DataError> {
        let input = |path: &PathBuf| {
            let metadata = fs::metadata(path).map_err(DataError::io(path))?;
            let is_file = metadata.is_file();
            Ok(Input {
                name: path.display().to_string(),
                bytes: if is_file { metadata.len() } else { 0 },
                version: if is_file {
                    file_times(&metadata)
                } else {
                    String::new()
                },
                crc32c: is_file.then(|| checksum(path)).transpose()?,
            })
        };
        let inputs = inputs.iter().map(input).collect::<Result<_, _>>()?;
        Ok(Self::new(options.to_owned(), inputs))
    }

    /// The key of the shards (name, length, version) in `store`.
    pub(crate) fn of_shards(
        options: String,
        store: &str,
        shards: impl Iterator<Item = (String, u64, String)>,
    ) -> Self {
        let input = |(name, bytes, version)| Input {
            name: format!("{store}/{name}"),
            bytes,
            version,
            crc32c: None,
        };
        Self::new(options, shards.map(input).collect())
    }

    /// The first difference to the key of an existing cache.
    fn difference(&self, cached: &Self) -> Option<String> {
        if self.crate_version != cached.crate_version {
            let version = &cached.crate_version;
            return Some(format!("the cache was written by version {version}"));
        }
        if self.options != cached.options {
            return Some("the cache was written with other options".into());
        }
        let mut pairs = self.inputs.iter().zip(&cached.inputs);
        match pairs.find(|(input, cached)| input != cached) {
            Some((input, _)) => Some(format!("{} has changed", input.name)),
            None if self.inputs.len() != cached.inputs.len() => {
                Some("the number of files has changed".into())
            }
            None => None,
        }
    }
}

/// What a cached index depends on besides its [`CacheKey`], known only after it was built.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SearchedFiles {
    /// The folders searched for images, with a digest of the names in them.
    folders: Vec<(PathBuf, u64)>,
    /// The images whose size was read from the header, with length and times.
    measured: Vec<(PathBuf, u64, String)>,
}

impl SearchedFiles {
    /// `cache` is the file name of the cache itself, which may be in one of the folders.
    fn of_source(source: &FileSource, cache: &OsStr) -> Self {
        let folders = source.searched.iter();
        let folders = folders.map(|listing| (listing.folder.clone(), listing.digest(cache)));
        let measured = source.images.measured_files().into_iter().map(file_state);
        Self {
            folders: folders.collect(),
            measured: measured.collect(),
        }
    }

    /// The first folder or file that has changed.
    fn changed(&self, cache: &OsStr) -> Option<&Path> {
        let folder = self
            .folders
            .iter()
            .find(|(folder, digest)| Listing::of_folder(folder).digest(cache) != *digest);
        let file = || {
            self.measured
                .iter()
                .find(|file| **file != file_state(file.0.clone()))
        };
        match folder {
            Some((folder, _)) => Some(folder),
            None => file().map(|file| file.0.as_path()),
        }
    }
}

/// Length and times of a file; zero and empty if it is missing.
fn file_state(path: PathBuf) -> (PathBuf, u64, String) {
    match fs::metadata(&path) {
        Ok(metadata) => (path, metadata.len(), file_times(&metadata)),
        Err(_) => (path, 0, String::new()),
    }
}

fn checksum(path: &Path) -> Result<u32, DataError> {
    let mut file = fs::File::open(path).map_err(DataError::io(path))?;
    let (mut buffer, mut crc) = (vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer).map_err(DataError::io(path))? {
            0 => return Ok(crc),
            len => crc = crc32c::crc32c_append(crc, &buffer[..len]),
        }
    }
}

/// Reads the index.
///
/// # Errors
/// Why the file is not used: [`CacheState::Rebuilt`] if it may be replaced, otherwise [`CacheState::NotWritten`].
fn read(path: &Path, key: &CacheKey) -> Result<FileSource, CacheState> {
    let not_found = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match fs::read(path) {
        Ok(bytes) if !is_cache(&bytes) => Err(CacheState::NotWritten(NOT_A_CACHE.into())),
        Ok(bytes) => parse(&bytes, path, key).map_err(CacheState::Rebuilt),
        Err(error) if not_found(&error) => Err(CacheState::Rebuilt("there was no cache".into())),
        Err(error) => {
            let reason = format!("{} could not be read: {error}", path.display());
            Err(CacheState::NotWritten(reason))
        }
    }
}

/// Whether bytes are those of a cache, or of the start of one. No cache is empty, because it is renamed when it is complete.
fn is_cache(bytes: &[u8]) -> bool {
    !bytes.is_empty() && (bytes.starts_with(&MAGIC) || MAGIC.starts_with(bytes))
}

/// The index in the bytes of a cache.
///
/// # Errors
/// Why it is not used.
fn parse(bytes: &[u8], path: &Path, key: &CacheKey) -> Result<FileSource, String> {
    let damaged = || "the cache is damaged".to_owned();
    let (header, body) = bytes.split_at_checked(HEADER_LEN).ok_or_else(damaged)?;
    let number = |offset: usize| {
        let bytes = header[offset..].first_chunk().copied();
        bytes.map(u32::from_le_bytes)
    };
    if number(8) != Some(LAYOUT) {
        return Err("the cache was written by another version".into());
    }
    if number(12) != Some(crc32c::crc32c(body)) {
        return Err(damaged());
    }
    let mut body = rmp_serde::Deserializer::from_read_ref(body);
    // The layout number covers the key as well.
    let cached_key = CacheKey::deserialize(&mut body).map_err(|_| damaged())?;
    if let Some(reason) = key.difference(&cached_key) {
        return Err(reason);
    }
    let searched = SearchedFiles::deserialize(&mut body).map_err(|_| damaged())?;
    if let Some(changed) = searched.changed(path.file_name().unwrap_or_default()) {
        return Err(format!("{} has changed", changed.display()));
    }
    let source = FileSource::deserialize(&mut body).map_err(|_| damaged())?;
    source.is_consistent().then_some(source).ok_or_else(damaged)
}

/// Writes a temporary file and renames it, so that readers never see a partial file.
fn write(path: &Path, key: &CacheKey, source: &FileSource) -> Result<(), String> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&LAYOUT.to_le_bytes());
    let searched = SearchedFiles::of_source(source, path.file_name().unwrap_or_default());
    let serialize = |bytes: &mut Vec<u8>| {
        rmp_serde::encode::write(bytes, key)?;
        rmp_serde::encode::write(bytes, &searched)?;
        rmp_serde::encode::write(bytes, source)
    };
    serialize(&mut bytes).map_err(|error| error.to_string())?;
    let crc = crc32c::crc32c(&bytes[HEADER_LEN..]);
    bytes[12..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    write_whole(path, &bytes).map_err(|error| format!("{}: {error}", path.display()))
}
