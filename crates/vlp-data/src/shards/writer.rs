use std::{
    fs::File,
    io::{self, BufWriter, Cursor, Write},
    path::{Path, PathBuf},
};

use vlp_files::write_synced;

use super::{MANIFEST, Manifest, PackOptions, PackReport, ShardEntry, sidecar};
use crate::{DataError, Source, decode::Format};

const BLOCK_BYTES: u64 = 512;
/// Two blocks of zeros.
const END_MARK_BYTES: u64 = 2 * BLOCK_BYTES;

/// The files of an image, or of two, and the records about it.
pub(super) struct ImageRecords {
    pub(super) image: Vec<u8>,
    pub(super) second_image: Option<Vec<u8>>,
    pub(super) records: Vec<Vec<u8>>,
}

/// Writes the shards, their indices and the manifest of a set to a folder.
pub(super) struct ShardWriter<'a> {
    source: &'a dyn Source,
    folder: &'a Path,
    options: &'a PackOptions,
    current: Option<Shard>,
    pub(super) report: PackReport,
}

struct Shard {
    path: PathBuf,
    entry: ShardEntry,
    archive: tar::Builder<ChecksumWriter>,
}

/// Computes length and checksum of what is written to a file.
struct ChecksumWriter {
    file: BufWriter<File>,
    bytes: u64,
    crc: u32,
}

impl Write for ChecksumWriter {
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

impl<'a> ShardWriter<'a> {
    pub(super) fn new(source: &'a dyn Source, folder: &'a Path, options: &'a PackOptions) -> Self {
        Self {
            source,
            folder,
            options,
            current: None,
            report: PackReport::default(),
        }
    }

    /// Writes an image to the current shard, or to a new one if it does not fit.
    pub(super) fn write(&mut self, image: ImageRecords) -> Result<(), DataError> {
        let key = format!("{:09}", self.report.images);
        let record = match image.records.as_slice() {
            [record] => record.clone(),
            records => [b"[" as &[u8], &records.join(&b",\n"[..]), b"]"].concat(),
        };
        // The record precedes the image so that the index reads it and the image header at once.
        let mut members = vec![(format!("{key}.json"), record)];
        members.push((format!("{key}.{}", extension(&image.image)), image.image));
        if let Some(second_image) = image.second_image {
            let name = format!("{key}.right.{}", extension(&second_image));
            members.push((name, second_image));
        }
        let member_bytes =
            |bytes: &Vec<u8>| BLOCK_BYTES + (bytes.len() as u64).next_multiple_of(BLOCK_BYTES);
        let added_bytes: u64 = members.iter().map(|(_, bytes)| member_bytes(bytes)).sum();
        let added_samples = image.records.len() as u64;
        if let Some(shard) = &self.current {
            let bytes = shard.archive.get_ref().bytes + added_bytes + END_MARK_BYTES;
            let samples = shard.entry.samples + added_samples;
            if bytes > self.options.shard_bytes || samples > self.options.shard_samples {
                self.close_shard()?;
            }
        }
        let shard = match &mut self.current {
            Some(shard) => shard,
            None => {
                let shard = Shard::create(self.folder, self.report.shards.len())?;
                self.current.insert(shard)
            }
        };
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let archive = &mut shard.archive;
            archive
                .append_data(&mut header, name, Cursor::new(bytes))
                .map_err(DataError::io(&shard.path))?;
        }
        shard.entry.samples += added_samples;
        self.report.samples += added_samples;
        self.report.images += 1;
        Ok(())
    }

    /// Closes the shard and writes its index.
    fn close_shard(&mut self) -> Result<(), DataError> {
        let Some(shard) = self.current.take() else {
            return Ok(());
        };
        let synced = shard.archive.into_inner().and_then(|mut writer| {
            writer.flush()?;
            writer.file.get_ref().sync_all()?;
            Ok((writer.bytes, writer.crc))
        });
        let (bytes, crc32c) = synced.map_err(DataError::io(shard.path))?;
        let mut entry = ShardEntry {
            bytes,
            crc32c,
            ..shard.entry
        };
        let (name, labels) = (self.source.name(), self.source.labels());
        entry.index = sidecar::write(self.folder, &entry, name, labels)?;
        self.report.shards.push(entry);
        Ok(())
    }

    /// Closes the last shard and writes the manifest.
    ///
    /// # Errors
    /// If that fails, or no sample was written.
    pub(super) fn finish(mut self) -> Result<PackReport, DataError> {
        self.close_shard()?;
        let Self { source, report, .. } = self;
        if report.samples == 0 {
            let first = report.skipped_records.first();
            let first = first.map_or_else(String::new, |skipped| format!("; the first: {skipped}"));
            return Err(DataError::Format {
                path: source.name().into(),
                reason: format!("none of {} samples can be packed{first}", source.len()),
            });
        }
        let labels = source.labels().clone();
        let manifest = Manifest::new(source.name().into(), labels, report.shards.clone());
        let path = self.folder.join(MANIFEST);
        serde_json::to_vec_pretty(&manifest)
            .map_err(io::Error::from)
            .and_then(|bytes| write_synced(&path, &bytes))
            .map_err(DataError::io(path))?;
        Ok(report)
    }
}

impl Shard {
    fn create(folder: &Path, index: usize) -> Result<Self, DataError> {
        let name = format!("{index:06}.tar");
        let path = folder.join(&name);
        let file = File::create(&path).map_err(DataError::io(&path))?;
        Ok(Self {
            path,
            entry: ShardEntry {
                name,
                bytes: 0,
                samples: 0,
                crc32c: 0,
                index: None,
            },
            archive: tar::Builder::new(ChecksumWriter {
                file: BufWriter::with_capacity(1 << 18, file),
                bytes: 0,
                crc: 0,
            }),
        })
    }
}

/// The file extension of an encoded image.
fn extension(bytes: &[u8]) -> &'static str {
    Format::of(bytes).unwrap_or(Format::WebP).extension()
}
