//! The index of annotation files kept in one file, which is read back much faster than they are.
//!
//! The file holds a version of its layout, the version of this crate, and for every input its path, length, time of last
//! change and CRC-32C (of a folder only the time, which changes when pictures come or go). Where any of these differs, or
//! the file is damaged, the index is built anew and the file replaced: a cache is never the cause of an error, and what
//! became of it is told by [`State`].
//!
//! ```no_run
//! use vlp_data::{Limits, read::{KarpathySplit, cache, karpathy}};
//!
//! let inputs = ["dataset_coco.json".into(), "coco/train2014".into(), "coco/val2014".into()];
//! let opened = cache::open_or_build("coco.index".as_ref(), &inputs, "training", || {
//!     karpathy("dataset_coco.json", "coco", &KarpathySplit::TRAINING, &Limits::default())
//! })?;
//! println!("{}: {}", opened.state, opened.source.report());
//! # Ok::<(), vlp_data::DataError>(())
//! ```

use std::{
    fmt, fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use crate::{DataError, FileSource};

const MAGIC: [u8; 8] = *b"vlpindex";
/// To be raised whenever a stored structure changes.
const LAYOUT: u32 = 1;
const HEAD: usize = MAGIC.len() + 8;

/// What an index is of: it is read back only where all of it is the same.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
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

/// A source, and what became of the file of its index.
pub struct Opened {
    /// The source.
    pub source: FileSource,
    /// Whether it was read from the file.
    pub state: State,
}

/// What became of an index's file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// No file was asked for.
    Unkept,
    /// The index was read from it.
    Read,
    /// The index was built and written to it, for this reason.
    Built(String),
    /// The index was built, and could not be written for this reason.
    Unwritten(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unkept => write!(f, "index built"),
            Self::Read => write!(f, "index read from its cache"),
            Self::Built(reason) => write!(f, "index built: {reason}"),
            Self::Unwritten(reason) => write!(f, "index built, its cache not written: {reason}"),
        }
    }
}

/// Reads the index from `path`, or builds it and writes it there.
///
/// `inputs` are all files and folders that `build` reads; `options` is whatever else its result depends on, in any form.
///
/// # Errors
/// When an input is missing, and those of `build`.
pub fn open_or_build(
    path: &Path,
    inputs: &[PathBuf],
    options: &str,
    build: impl FnOnce() -> Result<FileSource, DataError>,
) -> Result<Opened, DataError> {
    keyed(path, &Key::of_files(inputs, options)?, build)
}

pub(crate) fn keyed(
    path: &Path,
    key: &Key,
    build: impl FnOnce() -> Result<FileSource, DataError>,
) -> Result<Opened, DataError> {
    let reason = match read(path, key) {
        Ok(source) => {
            let state = State::Read;
            return Ok(Opened { source, state });
        }
        Err(reason) => reason,
    };
    let source = build()?;
    let state = match write(path, key, &source) {
        Ok(()) => State::Built(reason),
        Err(why) => State::Unwritten(why),
    };
    Ok(Opened { source, state })
}

impl Opened {
    pub(crate) fn unkept(source: FileSource) -> Self {
        let state = State::Unkept;
        Self { source, state }
    }
}

impl Key {
    fn new(options: String, inputs: Vec<Input>) -> Self {
        Self {
            crate_version: env!("CARGO_PKG_VERSION").into(),
            options,
            inputs,
        }
    }

    fn of_files(inputs: &[PathBuf], options: &str) -> Result<Self, DataError> {
        let one = |path: &PathBuf| {
            let meta = fs::metadata(path).map_err(DataError::io(path))?;
            let changed = meta.modified().ok();
            let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let file = meta.is_file();
            Ok(Input {
                name: path.display().to_string(),
                bytes: if file { meta.len() } else { 0 },
                version: since.map_or_else(String::new, |since| since.as_nanos().to_string()),
                crc32c: file.then(|| checksum(path)).transpose()?,
            })
        };
        let inputs = inputs.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self::new(options.to_owned(), inputs))
    }

    /// Of shards in a place, each (name, length, version).
    pub(crate) fn of_shards(
        options: String,
        place: &str,
        shards: impl Iterator<Item = (String, u64, String)>,
    ) -> Self {
        let one = |(name, bytes, version)| Input {
            name: format!("{place}/{name}"),
            bytes,
            version,
            crc32c: None,
        };
        Self::new(options, shards.map(one).collect())
    }
}

fn checksum(path: &Path) -> Result<u32, DataError> {
    let mut file = fs::File::open(path).map_err(DataError::io(path))?;
    let (mut buffer, mut crc) = (vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer).map_err(DataError::io(path))? {
            0 => return Ok(crc),
            read => crc = crc32c::crc32c_append(crc, &buffer[..read]),
        }
    }
}

/// The index, or why the file is not used.
fn read(path: &Path, key: &Key) -> Result<FileSource, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("there was no cache".into());
        }
        Err(error) => return Err(format!("the cache could not be read: {error}")),
    };
    let damaged = || "the cache is damaged".to_owned();
    let (head, body) = bytes.split_at_checked(HEAD).ok_or_else(damaged)?;
    let number = |at: usize| {
        let four = head[at..].first_chunk().copied();
        four.map(u32::from_le_bytes)
    };
    if !head.starts_with(&MAGIC) {
        return Err("the file was no cache".into());
    }
    if number(8) != Some(LAYOUT) {
        return Err("the cache is of another version".into());
    }
    if number(12) != Some(crc32c::crc32c(body)) {
        return Err(damaged());
    }
    let mut body = rmp_serde::Deserializer::from_read_ref(body);
    // The key's own layout never changes without the number above.
    let stored = Key::deserialize(&mut body).map_err(|_| damaged())?;
    if let Some(reason) = key.differs(&stored) {
        return Err(reason);
    }
    let source = FileSource::deserialize(&mut body).map_err(|_| damaged())?;
    source.sound().then_some(source).ok_or_else(damaged)
}

impl Key {
    fn differs(&self, stored: &Self) -> Option<String> {
        if self.crate_version != stored.crate_version {
            let version = &stored.crate_version;
            return Some(format!("the cache was written by version {version}"));
        }
        if self.options != stored.options {
            return Some("the cache was written with other options".into());
        }
        let mut pairs = self.inputs.iter().zip(&stored.inputs);
        match pairs.find(|(now, then)| now != then) {
            Some((now, _)) => Some(format!("{} has changed", now.name)),
            None if self.inputs.len() != stored.inputs.len() => {
                Some("the cache is of another number of files".into())
            }
            None => None,
        }
    }
}

/// Written beside and renamed: a reader sees the old file or the new one.
fn write(path: &Path, key: &Key, source: &FileSource) -> Result<(), String> {
    let mut bytes = vec![0; HEAD];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&LAYOUT.to_le_bytes());
    let put = |bytes: &mut Vec<u8>| {
        rmp_serde::encode::write(bytes, key)?;
        rmp_serde::encode::write(bytes, source)
    };
    put(&mut bytes).map_err(|error| error.to_string())?;
    let crc = crc32c::crc32c(&bytes[HEAD..]);
    bytes[12..HEAD].copy_from_slice(&crc.to_le_bytes());
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    let done = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&beside, path));
    done.map_err(|error| {
        // What is left of it, if anything, is of no use.
        let _ = fs::remove_file(&beside);
        format!("{}: {error}", path.display())
    })
}
