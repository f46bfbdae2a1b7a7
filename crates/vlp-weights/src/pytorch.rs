//! Checkpoints of `torch.save`: limits first, then the tensors, then what wraps them.
//!
//! `pytorch-reader` interprets the pickle: it imports and runs nothing, knows PyTorch's few constructors, keeps the
//! rest opaque, and reads values on demand. What it may be given is bounded here beforehand.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use pytorch_reader::{PytorchError, PytorchReader, Tensor};
use zip::ZipArchive;
use zip::read::ZipReadOptions;

use crate::error::WeightsError;
use crate::limits::{PICKLE_BYTES, unpacked};
use crate::pickle::{Budget, Refusal, walk};

/// Keys that checkpoints keep the weights of the model under, most telling first.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "module", "net"];

/// Pickles before the values of a file of PyTorch 1.5 or older: magic number, version, system, tensors, storages.
const LEGACY_PICKLES: usize = 5;

const RESAVE: &str = "load it in PyTorch and save it again: \
                      torch.save(model.state_dict(), \"weights.pth\")";

/// Tensors of the archive at `path`, by their names in the state dict.
pub(crate) fn open_zip(
    path: &Path,
    file: &mut File,
    len: u64,
) -> Result<Vec<(String, Tensor)>, WeightsError> {
    check_archive(path, file, len)?;
    tensors(path)
}

/// As [`open_zip`], of the format before PyTorch 1.6.
pub(crate) fn open_legacy(
    path: &Path,
    file: &mut File,
) -> Result<Vec<(String, Tensor)>, WeightsError> {
    let fail = |source| read_error(path, source);
    file.rewind().map_err(fail)?;
    let mut reader = BufReader::new(file);
    let mut budget = Budget::default();
    for _ in 0..LEGACY_PICKLES {
        walk(&mut reader, &mut budget).map_err(|refusal| refused(path, "the file", refusal))?;
    }
    tensors(path)
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

fn refused(path: &Path, place: &str, refusal: Refusal) -> WeightsError {
    match refusal {
        Refusal::TooLong => WeightsError::Limit {
            path: path.into(),
            what: format!("the pickle in {place}"),
            limit: PICKLE_BYTES,
            hint: "save nothing but the model's state dict",
        },
        Refusal::Opcode(byte) => format_error(
            path,
            format!("{place} holds no pickle (byte 0x{byte:02x}); the file is damaged"),
        ),
        Refusal::Io(source) => format_error(
            path,
            format!("the pickle in {place} ends early or is damaged ({source})"),
        ),
    }
}

/// Bounds what the archive unpacks to, and its pickles.
fn check_archive(path: &Path, file: &mut File, len: u64) -> Result<(), WeightsError> {
    let damaged = |e: zip::result::ZipError| {
        format_error(
            path,
            format!("not a whole zip archive ({e}); copy or download it again"),
        )
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let (mut total, limit) = (0_u64, unpacked(len));
    let mut pickles = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        total = total.saturating_add(entry.size());
        if total > limit {
            return Err(WeightsError::Limit {
                path: path.into(),
                what: format!("what its {len} bytes unpack to"),
                limit,
                hint: "weights hardly compress: store the archive's entries as PyTorch does",
            });
        }
        let name = entry.name().map_err(damaged)?.into_owned();
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
        // Sums are checked when the pickle is interpreted.
        let options = ZipReadOptions::new().ignore_crc32(true);
        let entry = archive
            .by_index_with_options(index, options)
            .map_err(damaged)?;
        walk(&mut BufReader::new(entry), &mut budget).map_err(|e| refused(path, &name, e))?;
    }
    Ok(())
}

/// The state dict's tensors, out of what wraps it.
fn tensors(path: &Path) -> Result<Vec<(String, Tensor)>, WeightsError> {
    let failed = |error: PytorchError| format_error(path, format!("{error}; {RESAVE}"));
    let mut reader = PytorchReader::new(path).map_err(failed)?;
    for key in WRAPPERS {
        let inside = |name: &String| {
            name.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        if !reader.tensors().keys().any(inside) {
            continue;
        }
        // A model may itself have a part of that name: its keys hold a dot, a wrapper's does not.
        if let Ok(inner) = PytorchReader::with_top_level_key(path, key) {
            reader = inner;
            break;
        }
    }
    let mut tensors: Vec<_> = reader.into_tensors().into_iter().collect();
    if tensors.is_empty() {
        return Err(format_error(path, format!("holds no tensors; {RESAVE}")));
    }
    // `DataParallel` puts a prefix before every name.
    if tensors.iter().all(|(name, _)| name.starts_with("module.")) {
        for (name, _) in &mut tensors {
            name.drain(.."module.".len());
        }
    }
    Ok(tensors)
}

/// First bytes of every format that can be told by them.
#[derive(Debug, PartialEq)]
pub(crate) enum Head {
    Zip,
    Legacy,
    Safetensors,
    /// Something else, with what it seems to be.
    Unknown(&'static str),
}

/// Tells the format of a file by its first bytes.
pub(crate) fn head(reader: &mut impl Read) -> std::io::Result<Head> {
    let mut bytes = Vec::new();
    reader.take(512).read_to_end(&mut bytes)?;
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let early = &bytes[..bytes.len().min(64)];
    let json = bytes.get(8) == Some(&b'{');
    Ok(match () {
        () if bytes.is_empty() => Head::Unknown("an empty file"),
        () if starts(b"PK\x03\x04") => Head::Zip,
        () if starts(b"PK") => Head::Unknown("an empty or split zip archive"),
        () if bytes.get(257..262) == Some(b"ustar") => {
            Head::Unknown("a tar archive (of PyTorch 0.1.9 or older, or one to be unpacked first)")
        }
        () if early.windows(10).any(|window| window == magic) => Head::Legacy,
        () if json => Head::Safetensors,
        () if starts(b"version https://git-lfs") => {
            Head::Unknown("a Git LFS pointer: the file itself has not been downloaded")
        }
        () if bytes.trim_ascii_start().starts_with(b"<") => {
            Head::Unknown("a web page: the download went wrong")
        }
        () if starts(b"\x1f\x8b") => Head::Unknown("a gzip file: unpack it first"),
        () if starts(b"\x80") => Head::Unknown("a plain pickle, not a file of torch.save"),
        () if starts(b"\x89HDF") => Head::Unknown("an HDF5 file (Keras)"),
        () => Head::Unknown("no format known here"),
    })
}
