use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Blob, Blobs, Manifest,
    group::{self, Group, Shard},
    manifest,
};
use crate::{
    DataError, LabelSpace, Limits,
    read::{
        builder::Builder,
        cache::{self, Key, Opened},
        fnv,
        generic::{Line, Reading},
        pictures::Pictures,
        records::Raw,
    },
};

/// How shards are read.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// Name for messages; else the manifest's, or the place's.
    pub name: Option<String>,
    /// Names of classes and attributes; others are faults. By default the manifest's; without one every name that occurs
    /// is numbered in the order of its first box.
    pub labels: Option<LabelSpace>,
    /// Pictures outside are not decoded.
    pub limits: Limits,
    /// File that the index is kept in, see [`cache`](crate::read::cache); by default it is made anew each time.
    pub index: Option<PathBuf>,
    /// Shards that are walked over at once while the index is made.
    pub threads: NonZeroUsize,
}

impl Default for ShardOptions {
    /// Everything from the place; four threads; no file for the index.
    fn default() -> Self {
        Self {
            name: None,
            labels: None,
            limits: Limits::default(),
            index: None,
            threads: NonZeroUsize::MIN.saturating_add(3),
        }
    }
}

/// Opens a set of shards: those that its [`Manifest`] names, or all `.tar` files of the place by name.
///
/// Records that are wrong one by one, and what follows a damaged place of a shard, are left out and listed in the
/// source's report. Where the index is kept in a file, and no shard has changed, the shards are not walked over.
///
/// # Errors
/// When there are no shards, one is not as long as the manifest says, the place cannot be read, or no record can be used.
pub fn open(blobs: Arc<dyn Blobs>, options: ShardOptions) -> Result<Opened, DataError> {
    let manifest = Manifest::read(blobs.as_ref())?;
    let shards = manifest::shards(blobs.as_ref(), manifest.as_ref())?;
    let name = options.name.clone();
    let name = name.or_else(|| manifest.as_ref().map(|manifest| manifest.name.clone()));
    let name = name.unwrap_or_else(|| blobs.name().to_owned());
    let labels = options.labels.clone();
    let labels = labels.or_else(|| manifest.map(|manifest| manifest.labels));
    let key = options.index.as_ref().map(|_| {
        let state = |shard: &Blob| (shard.name.clone(), shard.bytes, shard.version.clone());
        Key::of_shards(
            format!("{name} {:?} {:?}", options.limits, labels),
            blobs.name(),
            shards.iter().map(state),
        )
    });
    let build = || build(blobs.clone(), &shards, name, labels, &options);
    let mut opened = match (&options.index, key) {
        (Some(path), Some(key)) => cache::keyed(path, &key, build)?,
        _ => Opened::unkept(build()?),
    };
    opened.source.pictures.attach(blobs);
    Ok(opened)
}

fn build(
    blobs: Arc<dyn Blobs>,
    shards: &[Blob],
    name: String,
    labels: Option<LabelSpace>,
    options: &ShardOptions,
) -> Result<crate::FileSource, DataError> {
    let names = shards.iter().map(|shard| shard.name.clone()).collect();
    let pictures = Pictures::in_shards(blobs.clone(), names, options.limits.clone());
    let mut reading = Reading::new(Builder::of(name, pictures), labels);
    let mut firsts = Vec::with_capacity(shards.len());
    let threads = options.threads.get();
    for (wave, some) in shards.chunks(threads).enumerate() {
        let read = |(at, shard): (usize, &Blob)| {
            let number = (wave * threads + at) as u32;
            group::read(blobs.as_ref(), &shard.name, number, shard.bytes)
        };
        let found: Vec<Result<Shard, DataError>> = std::thread::scope(|scope| {
            let started: Vec<_> = (some.iter().enumerate())
                .map(|one| scope.spawn(move || read(one)))
                .collect();
            let ended = started.into_iter().map(|thread| {
                let panicked = |_| DataError::Worker("panic while a shard was read".into());
                thread.join().map_err(panicked)?
            });
            ended.collect()
        });
        for (shard, found) in some.iter().zip(found) {
            firsts.push(reading.builder.rows.len() as u32);
            let path = PathBuf::from(format!("{}/{}", blobs.name(), shard.name));
            add(&mut reading, &path, &shard.name, found?);
        }
    }
    let mut source = reading.finish(Path::new(blobs.name()))?;
    // A sample has a caption, or it is no row: none is taken out when the source is finished.
    firsts.dedup();
    firsts.retain(|&first| (first as usize) < source.rows.len());
    source.blocks = firsts;
    Ok(source)
}

fn add(reading: &mut Reading, path: &Path, name: &str, shard: Shard) {
    reading.builder.report.other_members += shard.others;
    for (record, reason) in shard.faults {
        reading.builder.fault(path, record, reason);
    }
    for group in shard.groups {
        let key = group.key.clone();
        if let Err((record, reason)) = sample(reading, path, name, group) {
            reading
                .builder
                .fault(path, format!("{key}{record}"), reason);
        }
    }
}

/// The samples of one key; wrong records of several are faults of their own.
fn sample(
    reading: &mut Reading,
    path: &Path,
    shard: &str,
    mut group: Group,
) -> Result<(), (String, String)> {
    let wrong = |reason: &str| (String::new(), reason.to_owned());
    let Some(picture) = group.picture.take() else {
        return Err(wrong("it has no picture"));
    };
    let second = group.second.take();
    let lines: Vec<Result<Line, String>> = match (group.text, group.json) {
        (Some(text), _) => vec![Ok(Line::of_text(text))],
        (None, Some(json)) => match Raw::new(&json).parse::<Value>() {
            Ok(Value::Array(all)) => all.into_iter().map(line).collect(),
            Ok(one) => vec![line(one)],
            Err(reason) => return Err((".json".into(), reason)),
        },
        (None, None) => return Err(wrong("it has neither .json nor .txt")),
    };
    let (mut pushed, several) = (None, lines.len() > 1);
    let mut last = Ok(());
    for (number, line) in lines.into_iter().enumerate() {
        let record = match several {
            true => format!("{}, record {}", group.key, number + 1),
            false => group.key.clone(),
        };
        let added = line.and_then(|line| {
            reading.record(path, &record, line, |builder, line, size| {
                if let Some(pictures) = pushed {
                    return Ok(pictures);
                }
                if let (None, Err(reason)) = (size, &picture.size) {
                    return Err(format!("its picture: {reason}"));
                }
                let key = line.image_id.unwrap_or_else(|| match &line.image {
                    Some(image) => fnv(image.bytes()),
                    None => fnv(format!("{shard}/{}", group.key).bytes()),
                });
                let mut push = |piece: &group::Piece, name: Option<&str>, size| {
                    let name = name.unwrap_or(&piece.name);
                    let at = builder.pictures.push(key, 0, name, size);
                    builder.pictures.push_span(piece.span);
                    if let Ok(found) = piece.size {
                        builder.pictures.found_size(at, found);
                    }
                    at
                };
                let left = push(&picture, line.image.as_deref(), size);
                let right = second
                    .as_ref()
                    .map(|right| push(right, line.image2.as_deref(), None));
                pushed = Some((left, right));
                Ok((left, right))
            })
        });
        if let Err(reason) = added {
            match several {
                true => reading.builder.fault(path, record, reason),
                false => last = Err((String::new(), reason)),
            }
        }
    }
    last
}

fn line(value: Value) -> Result<Line, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}
