use std::{collections::HashSet, fs, io, path::Path, thread};

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use vlp_files::PartialFolder;

use super::{
    PackOptions, PackReport,
    record::record_json,
    writer::{ImageRecords, ShardWriter},
};
use crate::{DataError, Image, Source, example::annotated_objects, skipped_sample::skipped_sample};

/// Largest number of records about one image in one member.
const MAX_RECORDS_PER_IMAGE: usize = 1000;
/// Largest number of skipped samples that are listed.
const MAX_LISTED: usize = 10_000;

/// Writes the samples of a source in their order to shards in the new folder `out`, with the index of each shard
/// and a [`Manifest`](super::Manifest).
///
/// Image files are copied unchanged; images without a file are written as PNG. Every image is decoded first, and samples
/// that cannot be loaded are skipped and listed. The output bytes depend on the source and the options alone. The folder
/// is written under a temporary name, synced, and renamed when it is complete.
///
/// # Errors
/// If `out` exists and is not empty, cannot be written, the source has several label spaces, no sample can be loaded, or a store
/// of samples cannot be read.
pub fn pack(
    source: &dyn Source,
    out: impl AsRef<Path>,
    options: &PackOptions,
) -> Result<PackReport, DataError> {
    let out = out.as_ref();
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        let error = io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it already exists and is not empty",
        );
        return Err(DataError::io(out)(error));
    }
    if let [first, second, ..] = source.label_spaces() {
        return Err(DataError::Config {
            field: "source",
            reason: format!(
                "{}: it has boxes of {} and of {}, and shards have one set of classes; pack its parts one by one",
                source.name(),
                first.name,
                second.name
            ),
        });
    }
    let folder = PartialFolder::create(out).map_err(DataError::io(out))?;
    let report = write(source, folder.path(), options)?;
    folder.finish().map_err(DataError::io(out))?;
    Ok(report)
}

/// A loaded sample in the form in which it is written.
struct EncodedSample {
    key: u64,
    id: Option<String>,
    image: Vec<u8>,
    second_image: Option<Vec<u8>>,
    record: Vec<u8>,
}

fn write(
    source: &dyn Source,
    folder: &Path,
    options: &PackOptions,
) -> Result<PackReport, DataError> {
    let mut writer = ShardWriter::new(source, folder, options);
    let mut ids = HashSet::new();
    let mut current: Option<(u64, ImageRecords)> = None;
    let indices: Vec<usize> = (0..source.len()).collect();
    let threads = options.threads.get().min(PackOptions::MAX_THREADS);
    for chunk in indices.chunks(threads * 16) {
        let samples = encode_samples(source, chunk, threads)?;
        for (&index, sample) in chunk.iter().zip(samples) {
            let check_id = |sample: EncodedSample| match &sample.id {
                Some(id) if !ids.insert(id.clone()) => Err(DataError::Format {
                    path: source.name().into(),
                    reason: format!("the id {id:?} occurs twice"),
                }),
                _ => Ok(sample),
            };
            let sample = match sample.and_then(check_id) {
                Ok(sample) => sample,
                Err(error) if error.is_of_store() => return Err(error),
                Err(error) => {
                    let report = &mut writer.report;
                    report.skipped += 1;
                    if report.skipped_records.len() < MAX_LISTED {
                        let skipped = skipped_sample(source, index, &error);
                        report.skipped_records.push(skipped);
                    }
                    continue;
                }
            };
            match &mut current {
                Some((key, image))
                    if image.records.len() < MAX_RECORDS_PER_IMAGE
                        && (*key, &image.image, &image.second_image)
                            == (sample.key, &sample.image, &sample.second_image) =>
                {
                    image.records.push(sample.record);
                }
                _ => {
                    let next = ImageRecords {
                        image: sample.image,
                        second_image: sample.second_image,
                        records: vec![sample.record],
                    };
                    if let Some((_, finished)) = current.replace((sample.key, next)) {
                        writer.write(finished)?;
                    }
                }
            }
        }
    }
    if let Some((_, last)) = current {
        writer.write(last)?;
    }
    writer.finish()
}

/// Loads samples in parallel.
fn encode_samples(
    source: &dyn Source,
    indices: &[usize],
    threads: usize,
) -> Result<Vec<Result<EncodedSample, DataError>>, DataError> {
    let encode = |indices: &[usize]| -> Vec<_> {
        let samples = indices.iter().map(|&index| encode_sample(source, index));
        samples.collect()
    };
    let per_thread = indices.len().div_ceil(threads).max(1);
    let threads_wanted = indices.len().div_ceil(per_thread);
    let samples = thread::scope(|scope| {
        let threads: Vec<_> = (indices.chunks(per_thread))
            .map(|indices| thread::Builder::new().spawn_scoped(scope, move || encode(indices)))
            .collect();
        let results = threads.into_iter().map(|thread| {
            let refused = |error: io::Error| {
                DataError::Worker(format!(
                    "{threads_wanted} threads cannot be started: {error}; use fewer threads"
                ))
            };
            let panicked = |_| DataError::Worker("panic while packing a sample".into());
            thread.map_err(refused)?.join().map_err(panicked)
        });
        results.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(samples.into_iter().flatten().collect())
}

fn encode_sample(source: &dyn Source, index: usize) -> Result<EncodedSample, DataError> {
    // Images are decoded even if their file is copied, so that damaged ones are not packed.
    let sample = source.load(index)?;
    let encoded = source.encoded_image(index)?;
    let coco_id = source.coco_id(index);
    let objects = annotated_objects(source, index, sample.objects.as_deref())?;
    let labels = source.labels();
    let record = record_json(
        &sample,
        objects.as_deref(),
        encoded.as_ref(),
        coco_id,
        labels,
    )?;
    let (image, second_image) = match encoded {
        Some(encoded) => (encoded.image, encoded.second_image),
        None => {
            let second_image = sample.second_image.as_ref();
            let second_image = second_image.map(|image| png(image, &sample.name));
            (png(&sample.image, &sample.name)?, second_image.transpose()?)
        }
    };
    Ok(EncodedSample {
        key: sample.key,
        id: sample.record.map(|record| record.id),
        image,
        second_image,
        record,
    })
}

fn png(image: &Image, name: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let (width, height) = (image.width as u32, image.height as u32);
    PngEncoder::new(&mut bytes)
        .write_image(&image.rgb, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| DataError::Decode {
            name: name.into(),
            reason: error.to_string(),
        })?;
    Ok(bytes)
}
