//! Checkpoints of `torch.save`: checks the limits, reads the tensors, and unwraps the state dict.
//!
//! `pytorch-reader` interprets the pickle: it imports and runs nothing, knows PyTorch's constructors, treats other
//! objects as opaque, and reads values on demand. Its input is bounded here beforehand.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use pytorch_reader::{PytorchError, PytorchReader, Tensor};
use zip::ZipArchive;
use zip::read::ZipReadOptions;

use crate::error::WeightsError;
use crate::limits::{PICKLE_BYTES, max_unpacked};
use crate::pickle::{Budget, PickleError, scan};

/// Keys under which checkpoints store the model's weights, the most specific first.
const WRAPPERS: [&str; 8] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
];

/// Pickles before the values in the format before PyTorch 1.6: magic number, version, system, tensors, storages.
const LEGACY_PICKLES: usize = 5;

const RESAVE_HINT: &str = "load it in PyTorch and save it again: \
                      torch.save(model.state_dict(), \"weights.pth\")";

/// Tensors of the zip archive at `path`, by their names in the state dict.
pub(crate) fn open_zip(
    path: &Path,
    file: &mut File,
    len: u64,
) -> Result<Vec<(String, Tensor)>, WeightsError> {
    check_archive(path, file, len)?;
    read_tensors(path)
}

/// As [`open_zip`], for the format before PyTorch 1.6.
pub(crate) fn open_legacy(
    path: &Path,
    file: &mut File,
) -> Result<Vec<(String, Tensor)>, WeightsError> {
    let fail = |source| read_error(path, source);
    file.rewind().map_err(fail)?;
    let mut reader = BufReader::new(file);
    let mut budget = Budget::default();
    for _ in 0..LEGACY_PICKLES {
        scan(&mut reader, &mut budget).map_err(|e| pickle_error(path, "the file", e))?;
    }
    read_tensors(path)
}

fn read_error(path: &Path, source: std::io::Error) -> WeightsError {
    WeightsError::Read {
        path: path.into(),
        source,
    }
}

fn format_error(path: &Path, reason: String) -> WeightsError {
    WeightsError::Format {
        path: path.into(),
        reason,
    }
}

fn pickle_error(path: &Path, entry: &str, error: PickleError) -> WeightsError {
    match error {
        PickleError::TooLong => WeightsError::Limit {
            path: path.into(),
            what: format!("the pickle in {entry}"),
            limit: PICKLE_BYTES,
            hint: "save only the model's state dict",
        },
        PickleError::Opcode(byte) => format_error(
            path,
            format!("{entry} is not a pickle (byte 0x{byte:02x}); the file is damaged"),
        ),
        PickleError::Io(source) => format_error(
            path,
            format!("the pickle in {entry} ends early or is damaged ({source})"),
        ),
    }
}

/// Checks the limits of the archive's unpacked size and of its pickles.
fn check_archive(path: &Path, file: &mut File, len: u64) -> Result<(), WeightsError> {
    let invalid = |e: zip::result::ZipError| {
        format_error(
            path,
            format!("not a complete zip archive ({e}); copy or download it again"),
        )
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(invalid)?;
    let (mut total, limit) = (0_u64, max_unpacked(len));
    let mut pickles = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(invalid)?;
        total = total.saturating_add(entry.size());
        if total > limit {
            return Err(WeightsError::Limit {
                path: path.into(),
                what: format!("the unpacked size of its {len} bytes"),
                limit,
                hint: "save it with torch.save, which does not compress",
            });
        }
        let name = entry.name().map_err(invalid)?.into_owned();
        if name.ends_with("data.pkl") {
            pickles.push((index, name));
        }
    }
    if pickles.is_empty() {
        return Err(format_error(
            path,
            format!(
                "a zip archive of {} entries without data.pkl; use a file written by torch.save",
                archive.len()
            ),
        ));
    }
    let mut budget = Budget::default();
    for (index, name) in pickles {
        // `pytorch-reader` verifies the checksums later.
        let options = ZipReadOptions::new().ignore_crc32(true);
        let entry = archive
            .by_index_with_options(index, options)
            .map_err(invalid)?;
        scan(&mut BufReader::new(entry), &mut budget).map_err(|e| pickle_error(path, &name, e))?;
    }
    Ok(())
}

/// Tensors of the state dict, without the dictionary that wraps it.
fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>, WeightsError> {
    let failed = |error: PytorchError| format_error(path, format!("{error}; {RESAVE_HINT}"));
    let mut reader = PytorchReader::new(path).map_err(failed)?;
    for key in WRAPPERS {
        let in_wrapper = |name: &String| {
            name.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        if !reader.tensors().keys().any(in_wrapper) {
            continue;
        }
        // Fails if this is not a wrapper but a submodule of that name, whose keys contain a dot.
        if let Ok(inner) = PytorchReader::with_top_level_key(path, key) {
            reader = inner;
            break;
        }
    }
    let mut tensors: Vec<_> = reader.into_tensors().into_iter().collect();
    if tensors.is_empty() {
        return Err(format_error(
            path,
            format!("contains no tensors; {RESAVE_HINT}"),
        ));
    }
    // A wrapper within the wrapper; no module has such a name.
    for prefix in ["state_dict.", "model_state_dict."] {
        if tensors.iter().all(|(name, _)| name.starts_with(prefix)) {
            for (name, _) in &mut tensors {
                name.drain(..prefix.len());
            }
        }
    }
    Ok(tensors)
}

/// Kind of a file, detected from its first bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum FileKind {
    Zip,
    Legacy,
    Safetensors,
    /// Another kind, described in words.
    Unknown(&'static str),
}

pub(crate) fn detect_kind(reader: &mut impl Read) -> std::io::Result<FileKind> {
    let mut bytes = Vec::new();
    reader.take(512).read_to_end(&mut bytes)?;
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let start = &bytes[..bytes.len().min(64)];
    let json = bytes.get(8) == Some(&b'{');
    Ok(match () {
        () if bytes.is_empty() => FileKind::Unknown("an empty file"),
        () if starts(b"PK\x03\x04") => FileKind::Zip,
        () if starts(b"PK") => FileKind::Unknown("an empty or split zip archive"),
        () if bytes.get(257..262) == Some(b"ustar") => FileKind::Unknown(
            "a tar archive (from PyTorch 0.1.9 or older, or to be unpacked first)",
        ),
        () if start.windows(10).any(|window| window == magic) => FileKind::Legacy,
        () if json => FileKind::Safetensors,
        () if starts(b"version https://git-lfs") => {
            FileKind::Unknown("a Git LFS pointer: the file itself has not been downloaded")
        }
        () if bytes.trim_ascii_start().starts_with(b"<") => {
            FileKind::Unknown("a web page: the download failed")
        }
        () if starts(b"\x1f\x8b") => FileKind::Unknown("a gzip file: unpack it first"),
        () if starts(b"\x80") => FileKind::Unknown("a plain pickle, not a file of torch.save"),
        () if starts(b"\x89HDF") => FileKind::Unknown("an HDF5 file (Keras)"),
        () => FileKind::Unknown("an unknown format"),
    })
}
