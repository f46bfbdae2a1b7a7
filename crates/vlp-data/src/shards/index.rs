use std::{
    collections::HashMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use getset::WithSetters;
use serde_json::Value;

use super::{
    Blob, BlobStore, MANIFEST, Manifest, manifest,
    members::{self, ImageMember, SampleMembers, ShardContents},
};
use crate::{
    DataError, LabelSpace, Limits,
    hash::fnv1a,
    read::{
        builder::SourceBuilder,
        cache::{self, CacheKey, CachedSource},
        file_images::check_repeated,
        generic::{GenericReader, GenericRecord},
        images::Images,
        records::RawRecord,
    },
};

/// Options for reading shards.
#[derive(Debug, Clone, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct ShardOptions {
    /// Name for messages; by default that of the manifest, or of the store.
    pub name: Option<String>,
    /// Class and attribute names; records with others are skipped. By default those of the manifest; without a manifest,
    /// names are numbered in the order of their first occurrence.
    pub labels: Option<LabelSpace>,
    /// Images outside these limits are not decoded.
    pub limits: Limits,
    /// Cache file of the index, see [`cache`](crate::read::cache); by default the index is built each time.
    pub index: Option<PathBuf>,
    /// Number of shards read in parallel while the index is built.
    pub threads: NonZeroUsize,
    /// Largest size in memory of the indices of [`IndexedShards`](super::IndexedShards), in bytes. With a
    /// [window](crate::BatchPlan::window) it should hold the shards of one and a half windows of every lane that is loaded;
    /// otherwise indices are read more than once. An index takes about 200 bytes a sample.
    pub max_index_bytes: usize,
}

impl Default for ShardOptions {
    /// Name and labels of the manifest, default limits, no index cache, four threads, 256 MiB of indices.
    fn default() -> Self {
        Self {
            name: None,
            labels: None,
            limits: Limits::default(),
            index: None,
            threads: NonZeroUsize::MIN.saturating_add(3),
            max_index_bytes: 256 << 20,
        }
    }
}

/// Opens a set of shards: those listed in its [`Manifest`], or all `.tar` files of the store in the order of their names.
///
/// Invalid records, and everything after the first invalid header of a shard, are skipped and listed in the source's
/// report, as are `.tar` files that the manifest does not list. The shards themselves are not read if an index cache is
/// given and up to date.
///
/// # Errors
/// If there are no shards, the length of one differs from the manifest, the store cannot be read, or no record is valid.
pub fn open(store: Arc<dyn BlobStore>, options: ShardOptions) -> Result<CachedSource, DataError> {
    let manifest = Manifest::read(store.as_ref())?;
    let (shards, unlisted) = manifest::shards(store.as_ref(), manifest.as_ref())?;
    let name = options.name.clone();
    let name = name.or_else(|| manifest.as_ref().map(|manifest| manifest.name.clone()));
    let name = name.unwrap_or_else(|| store.name().to_owned());
    let labels = options.labels.clone();
    let checksums = manifest.iter().flat_map(|manifest| &manifest.shards);
    let checksums: Vec<u32> = checksums.map(|entry| entry.crc32c).collect();
    let labels = labels.or_else(|| manifest.map(|manifest| manifest.labels));
    let key = options.index.as_ref().map(|_| {
        let version = |shard: &Blob| (shard.name.clone(), shard.bytes, shard.version.clone());
        CacheKey::of_shards(
            format!(
                "{name} {:?} {labels:?} {unlisted:?} {checksums:?}",
                options.limits
            ),
            store.name(),
            shards.iter().map(version),
        )
    });
    let build = || build(store.clone(), &shards, &unlisted, name, labels, &options);
    let mut opened = match (&options.index, key) {
        (Some(path), Some(key)) => cache::open_with_key(path, &key, build)?,
        _ => CachedSource::uncached(build()?),
    };
    opened.source.images.attach_store(store);
    Ok(opened)
}

/// The source of these shards.
pub(super) fn build(
    store: Arc<dyn BlobStore>,
    shards: &[Blob],
    unlisted: &[String],
    name: String,
    labels: Option<LabelSpace>,
    options: &ShardOptions,
) -> Result<crate::FileSource, DataError> {
    let names = shards.iter().map(|shard| shard.name.clone()).collect();
    let images = Images::in_shards(store.clone(), names, options.limits.clone());
    let mut reading = GenericReader::new(SourceBuilder::with_images(name, images), labels);
    let mut block_starts = Vec::with_capacity(shards.len());
    let mut images = HashMap::new();
    for name in unlisted {
        let reason = format!("{MANIFEST} does not list it");
        reading.builder.skip(Path::new(store.name()), name, reason);
    }
    let threads = options.threads.get();
    for (chunk_index, chunk) in shards.chunks(threads).enumerate() {
        let read = |(index, shard): (usize, &Blob)| {
            let shard_index = (chunk_index * threads + index) as u32;
            members::read(store.as_ref(), &shard.name, shard_index, shard.bytes)
        };
        let contents: Vec<Result<ShardContents, DataError>> = match chunk {
            // It is read in less time than a thread takes to start, if it is small.
            [shard] => vec![read((0, shard))],
            _ => std::thread::scope(|scope| {
                let threads: Vec<_> = (chunk.iter().enumerate())
                    .map(|shard| scope.spawn(move || read(shard)))
                    .collect();
                let results = threads.into_iter().map(|thread| {
                    let panicked = |_| DataError::Worker("panic while reading a shard".into());
                    thread.join().map_err(panicked)?
                });
                results.collect()
            }),
        };
        for (shard, contents) in chunk.iter().zip(contents) {
            block_starts.push(reading.builder.rows.len() as u32);
            let path = PathBuf::from(format!("{}/{}", store.name(), shard.name));
            add_shard(&mut reading, &mut images, &path, &shard.name, contents?);
            // The result of reading more shards would be discarded.
            reading.builder.check_counts()?;
        }
    }
    let mut source = reading.finish(Path::new(store.name()))?;
    // Rows without a caption were never added, so that finishing the source removed none.
    block_starts.dedup();
    block_starts.retain(|&start| (start as usize) < source.rows.len());
    source.block_starts = block_starts;
    Ok(source)
}

/// The first image with each key, and its record for messages.
type ImagesByKey = HashMap<u64, (u32, String)>;

fn add_shard(
    reading: &mut GenericReader,
    images: &mut ImagesByKey,
    path: &Path,
    name: &str,
    contents: ShardContents,
) {
    reading.builder.report.other_members += contents.other_members;
    for (record, reason) in contents.skipped {
        reading.builder.skip(path, record, reason);
    }
    for members in contents.samples {
        let key = members.key.clone();
        if let Err((record, reason)) = add_samples(reading, images, path, name, members) {
            reading.builder.skip(path, format!("{key}{record}"), reason);
        }
    }
}

/// Adds the samples of one key. If there are several, invalid records are skipped one by one.
///
/// # Errors
/// What to append to the key in the report, and why the key is skipped.
fn add_samples(
    reading: &mut GenericReader,
    images: &mut ImagesByKey,
    path: &Path,
    shard: &str,
    mut members: SampleMembers,
) -> Result<(), (String, String)> {
    let invalid = |reason: &str| (String::new(), reason.to_owned());
    let Some(image) = members.image.take() else {
        return Err(invalid("it has no image"));
    };
    let second_image = members.second_image.take();
    let lines: Vec<Result<GenericRecord, String>> = match (members.text, members.json) {
        (Some(text), _) => vec![Ok(GenericRecord::from_caption(text))],
        (None, Some(json)) if json.trim_ascii_start().starts_with(b"[") => {
            let records: Result<Vec<Value>, _> = RawRecord::new(&json).parse();
            let records = records.map_err(|reason| (".json".to_owned(), reason))?;
            records.into_iter().map(line).collect()
        }
        // Parsed at once, so that messages have the position of what is wrong.
        (None, Some(json)) => vec![RawRecord::new(&json).parse()],
        (None, None) => return Err(invalid("it has neither .json nor .txt")),
    };
    // Of the first valid record, with its number.
    let (mut image_indices, several) = (None, lines.len() > 1);
    let mut result = Ok(());
    for (index, line) in lines.into_iter().enumerate() {
        let record = match several {
            true => format!("{}, record {}", members.key, index + 1),
            false => members.key.clone(),
        };
        let added = line.and_then(|line| {
            reading.push_record(path, &record, line, |builder, line, size| {
                if let Some((first, left, right)) = image_indices {
                    let first = format!("record {first}");
                    let (images, id) = (&builder.images, line.image_id);
                    check_repeated(images, left, &first, "its image", id, size)?;
                    return Ok((left, right));
                }
                if let (None, Err(reason)) = (size, &image.size) {
                    return Err(format!("its image: {reason}"));
                }
                let member_key = fnv1a(format!("{shard}/{}", members.key).bytes());
                let image_key = line.image.as_ref().map(|image| fnv1a(image.bytes()));
                let mut key = line.image_id.or(image_key).unwrap_or(member_key);
                if let Some((first, record)) = images.get(&key) {
                    let other = builder.images.file(*first);
                    let has_other_name = line.image.as_ref().is_some_and(|name| name != other);
                    if has_other_name || builder.images.shard_bytes(*first) != image.span.len {
                        if line.image_id.is_some() {
                            return Err(format!(
                                "its image has the id {key} of another image, {other} of {record}"
                            ));
                        }
                        // Images of different folders may have one name.
                        key = member_key;
                    }
                }
                let mut push = |image: &ImageMember, name: Option<&str>, annotated_size| {
                    let name = name.unwrap_or(&image.name);
                    let index = builder.images.push(key, 0, name, annotated_size);
                    builder.images.push_span(image.span);
                    if let Ok(size) = image.size {
                        builder.images.set_header_size(index, size);
                    }
                    index
                };
                let left = push(&image, line.image.as_deref(), size);
                let right = second_image
                    .as_ref()
                    .map(|right| push(right, line.image2.as_deref(), None));
                let record = || (left, format!("{shard}/{}", members.key));
                images.entry(key).or_insert_with(record);
                image_indices = Some((index + 1, left, right));
                Ok((left, right))
            })
        });
        if let Err(reason) = added {
            match several {
                true => reading.builder.skip(path, record, reason),
                false => result = Err((String::new(), reason)),
            }
        }
    }
    result
}

fn line(value: Value) -> Result<GenericRecord, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
