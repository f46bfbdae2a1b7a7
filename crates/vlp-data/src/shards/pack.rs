use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Cursor, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

use super::{MANIFEST, Manifest, ShardEntry, record};
use crate::{DataError, Fault, Picture, Source, loader::fault};

/// Most records about one picture in one member.
const MAX_RECORDS: usize = 1000;
/// Most faults that are listed.
const MAX_LISTED: usize = 10_000;

/// How a source is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// Greatest length of a shard, but for one whose first sample alone is longer.
    pub shard_bytes: u64,
    /// Most samples of a shard, but for one whose first picture alone has more.
    pub shard_samples: u64,
    /// Threads that read and check samples.
    pub threads: NonZeroUsize,
}

impl Default for PackOptions {
    /// 256 MiB, 10,000 samples, a thread for each processor.
    fn default() -> Self {
        Self {
            shard_bytes: 256 << 20,
            shard_samples: 10_000,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// What was packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackReport {
    /// Samples written.
    pub samples: u64,
    /// Members' keys written: samples that follow one another and have the same pictures share one.
    pub pictures: u64,
    /// The shards, in order.
    pub shards: Vec<ShardEntry>,
    /// Samples left out.
    pub skipped: u64,
    /// The first 10,000 of them, with file, record and reason.
    pub faults: Vec<Fault>,
}

/// Writes a source's samples, in their order, to shards in the new folder `out`, with a [`Manifest`].
///
/// A picture's file is copied as it is; pictures that are no files are written as PNG. Every picture is decoded first:
/// samples that cannot be loaded are left out and listed. The same source gives the same bytes. The folder is written
/// under another name and renamed when it is whole.
///
/// # Errors
/// When `out` is there and not empty, cannot be written, or no sample can be loaded.
pub fn pack(
    source: &dyn Source,
    out: impl AsRef<Path>,
    options: &PackOptions,
) -> Result<PackReport, DataError> {
    let out = out.as_ref();
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        let there = io::Error::new(io::ErrorKind::AlreadyExists, "it is there, and not empty");
        return Err(DataError::io(out)(there));
    }
    let mut beside = OsString::from(out.file_name().unwrap_or_default());
    beside.push(".vlp-part");
    let beside = out.with_file_name(beside);
    if beside.exists() {
        // Of a run that was interrupted.
        fs::remove_dir_all(&beside).map_err(DataError::io(&beside))?;
    }
    fs::create_dir_all(&beside).map_err(DataError::io(&beside))?;
    let packed = write(source, &beside, options).and_then(|report| {
        // Some systems rename onto no folder, not even an empty one.
        let empty = if out.is_dir() {
            fs::remove_dir(out)
        } else {
            Ok(())
        };
        let renamed = empty.and_then(|()| fs::rename(&beside, out));
        renamed.map_err(DataError::io(out))?;
        Ok(report)
    });
    if packed.is_err() {
        // The error is what counts; what is left is overwritten next time.
        let _ = fs::remove_dir_all(&beside);
    }
    packed
}

/// A sample ready to be written.
struct Ready {
    key: u64,
    id: Option<String>,
    picture: Vec<u8>,
    second: Option<Vec<u8>>,
    record: Vec<u8>,
}

/// Samples of the same pictures.
struct Group {
    first: Ready,
    records: Vec<Vec<u8>>,
}

fn write(
    source: &dyn Source,
    folder: &Path,
    options: &PackOptions,
) -> Result<PackReport, DataError> {
    let mut writer = Writer {
        folder,
        options,
        open: None,
        report: PackReport::default(),
    };
    let mut ids = HashSet::new();
    let mut group: Option<Group> = None;
    let indices: Vec<usize> = (0..source.len()).collect();
    let threads = options.threads.get();
    for wave in indices.chunks(threads * 16) {
        let share = wave.len().div_ceil(threads).max(1);
        let ready: Vec<_> = thread::scope(|scope| {
            let load = |some: &[usize]| -> Vec<_> {
                let one = |&index: &usize| ready(source, index);
                some.iter().map(one).collect()
            };
            let started: Vec<_> = (wave.chunks(share))
                .map(|some| scope.spawn(move || load(some)))
                .collect();
            let ended = started.into_iter().map(|thread| {
                let panicked = |_| DataError::Worker("panic while a sample was packed".into());
                thread.join().map_err(panicked)
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?;
        for (&index, ready) in wave.iter().zip(ready.into_iter().flatten()) {
            let twice = |ready: Ready| match &ready.id {
                Some(id) if !ids.insert(id.clone()) => Err(DataError::Format {
                    path: source.name().into(),
                    reason: format!("the id {id:?} occurs twice"),
                }),
                _ => Ok(ready),
            };
            let ready = match ready.and_then(twice) {
                Ok(ready) => ready,
                Err(error) => {
                    writer.report.skipped += 1;
                    if writer.report.faults.len() < MAX_LISTED {
                        writer.report.faults.push(fault(source, index, &error));
                    }
                    continue;
                }
            };
            match &mut group {
                Some(group)
                    if group.records.len() < MAX_RECORDS
                        && (group.first.key, &group.first.picture, &group.first.second)
                            == (ready.key, &ready.picture, &ready.second) =>
                {
                    group.records.push(ready.record);
                }
                _ => {
                    let next = Group {
                        records: vec![ready.record.clone()],
                        first: ready,
                    };
                    if let Some(full) = group.replace(next) {
                        writer.group(full)?;
                    }
                }
            }
        }
    }
    if let Some(last) = group {
        writer.group(last)?;
    }
    writer.finish(source)
}

fn ready(source: &dyn Source, index: usize) -> Result<Ready, DataError> {
    // Decoded also where the file is copied: what cannot be loaded is not packed.
    let sample = source.load(index)?;
    let encoded = source.encoded(index)?;
    let coco_id = source.coco_id(index);
    let record = record::record(&sample, encoded.as_ref(), coco_id, source.labels())?;
    let (picture, second) = match encoded {
        Some(encoded) => (encoded.picture, encoded.second),
        None => {
            let second = sample.second.as_ref().map(|s| png(s, &sample.name));
            (png(&sample.picture, &sample.name)?, second.transpose()?)
        }
    };
    Ok(Ready {
        key: sample.key,
        id: sample.record.map(|record| record.id),
        picture,
        second,
        record,
    })
}

fn png(picture: &Picture, name: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let (width, height) = (picture.width as u32, picture.height as u32);
    PngEncoder::new(&mut bytes)
        .write_image(&picture.rgb, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| DataError::Decode {
            name: name.into(),
            reason: error.to_string(),
        })?;
    Ok(bytes)
}

/// The extension of a picture's file by its first bytes.
fn extension(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, ..] => "jpg",
        [0x89, b'P', ..] => "png",
        _ => "webp",
    }
}

struct Writer<'a> {
    folder: &'a Path,
    options: &'a PackOptions,
    open: Option<Shard>,
    report: PackReport,
}

struct Shard {
    path: PathBuf,
    entry: ShardEntry,
    archive: tar::Builder<Counting>,
}

/// Counts what goes into a file.
struct Counting {
    file: BufWriter<File>,
    bytes: u64,
    crc: u32,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Writer<'_> {
    fn group(&mut self, group: Group) -> Result<(), DataError> {
        let key = format!("{:09}", self.report.pictures);
        let record = match group.records.as_slice() {
            [one] => one.clone(),
            all => [b"[" as &[u8], &all.join(&b",\n"[..]), b"]"].concat(),
        };
        // The record first: the walk over a shard then reads it and the picture's first bytes at once.
        let first = group.first;
        let mut members = vec![(format!("{key}.json"), record)];
        let kind = extension(&first.picture);
        members.push((format!("{key}.{kind}"), first.picture));
        if let Some(second) = first.second {
            members.push((format!("{key}.right.{}", extension(&second)), second));
        }
        let padded = |bytes: &Vec<u8>| 512 + (bytes.len() as u64).next_multiple_of(512);
        let more: u64 = members.iter().map(|(_, bytes)| padded(bytes)).sum();
        let records = group.records.len() as u64;
        if let Some(shard) = &self.open {
            // With the end mark of two blocks.
            let bytes = shard.archive.get_ref().bytes + more + 1024;
            let samples = shard.entry.samples + records;
            if bytes > self.options.shard_bytes || samples > self.options.shard_samples {
                self.close()?;
            }
        }
        let shard = match &mut self.open {
            Some(shard) => shard,
            None => self
                .open
                .insert(Shard::create(self.folder, self.report.shards.len())?),
        };
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let archive = &mut shard.archive;
            let added = archive.append_data(&mut header, name, Cursor::new(bytes));
            added.map_err(DataError::io(&shard.path))?;
        }
        shard.entry.samples += records;
        self.report.samples += records;
        self.report.pictures += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), DataError> {
        let Some(shard) = self.open.take() else {
            return Ok(());
        };
        let path = shard.path;
        let ended = shard.archive.into_inner().and_then(|mut counting| {
            counting.flush()?;
            counting.file.get_ref().sync_all()?;
            Ok((counting.bytes, counting.crc))
        });
        let (bytes, crc32c) = ended.map_err(DataError::io(path))?;
        self.report.shards.push(ShardEntry {
            bytes,
            crc32c,
            ..shard.entry
        });
        Ok(())
    }

    fn finish(mut self, source: &dyn Source) -> Result<PackReport, DataError> {
        self.close()?;
        let report = self.report;
        if report.samples == 0 {
            let first = report.faults.first();
            let first = first.map_or_else(String::new, |fault| format!("; the first: {fault}"));
            return Err(DataError::Format {
                path: source.name().into(),
                reason: format!("none of {} samples can be packed{first}", source.len()),
            });
        }
        let labels = source.labels().clone();
        let manifest = Manifest::new(source.name().into(), labels, report.shards.clone());
        let path = self.folder.join(MANIFEST);
        let written = serde_json::to_vec_pretty(&manifest)
            .map_err(io::Error::from)
            .and_then(|bytes| fs::write(&path, bytes));
        written.map_err(DataError::io(path))?;
        Ok(report)
    }
}

impl Shard {
    fn create(folder: &Path, number: usize) -> Result<Self, DataError> {
        let name = format!("{number:06}.tar");
        let path = folder.join(&name);
        let file = File::create(&path).map_err(DataError::io(&path))?;
        Ok(Self {
            path,
            entry: ShardEntry {
                name,
                bytes: 0,
                samples: 0,
                crc32c: 0,
            },
            archive: tar::Builder::new(Counting {
                file: BufWriter::with_capacity(1 << 18, file),
                bytes: 0,
                crc: 0,
            }),
        })
    }
}
