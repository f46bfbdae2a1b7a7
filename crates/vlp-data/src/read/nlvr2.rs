use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    builder::{SourceBuilder, source_name},
    folders::{Folders, composed_key},
    records::{RawRecord, lines},
    report::trim_caption,
    row::{CocoIds, Row, StoredLabel},
    source::FileSource,
};
use crate::{DataError, LabelSpace, Limits, hash::fnv1a};

#[derive(Deserialize)]
struct Line {
    identifier: String,
    sentence: String,
    label: Option<Truth>,
    directory: Option<Directory>,
}

#[derive(Deserialize)]
enum Truth {
    True,
    False,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "directory must be a whole number from 0 on, or a text"
)]
enum Directory {
    Number(u64),
    Name(String),
}

/// Reads NLVR2's `train.json`, `dev.json` or `test1.json` (JSON lines): one sample per statement. The caption is the
/// sentence, the label its truth, the record the `identifier`, and the key the hash of the pair's name.
///
/// An identifier is `PAIR-SENTENCE`, and in NLVR2 itself a pair is `SPLIT-SET-NUMBER`. The images `PAIR-img0.png` (left) and
/// `PAIR-img1.png` (right) are searched in `images` and in `images/images`, each with the subfolders `SPLIT/DIRECTORY`,
/// `SPLIT` and `DIRECTORY`.
///
/// # Errors
/// If the file or `images` is missing, or no line is valid.
pub fn nlvr2(
    file: impl AsRef<Path>,
    images: impl Into<PathBuf>,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let (file, images) = (file.as_ref(), images.into());
    let nested = images.join("images");
    let roots = if nested.is_dir() {
        vec![images, nested]
    } else {
        vec![images]
    };
    let mut builder = SourceBuilder::new(source_name(file), Folders::new(roots)?, limits);
    let (mut identifiers, mut pairs) = (HashSet::new(), HashMap::new());
    lines(file, |record| {
        if let Err(reason) = add_line(&mut builder, &record, &mut identifiers, &mut pairs) {
            builder.skip(file, format!("line {}", record.number), reason);
        }
    })?;
    builder.finish(file, LabelSpace::default(), CocoIds::Unknown)
}

fn add_line(
    builder: &mut SourceBuilder,
    record: &RawRecord<'_>,
    identifiers: &mut HashSet<u64>,
    pairs: &mut HashMap<u64, (u32, u32)>,
) -> Result<(), String> {
    let line: Line = record.parse()?;
    let identifier = line.identifier.as_str();
    let Some((pair, _)) = identifier.rsplit_once('-') else {
        return Err(format!(
            "its identifier {identifier:?} is not PAIR-SENTENCE, as in dev-850-0-1"
        ));
    };
    let split = identifier.split('-').next().unwrap_or_default();
    let identifier_hash = fnv1a(identifier.bytes());
    if identifiers.contains(&identifier_hash) {
        return Err(format!("its identifier {identifier:?} occurs twice"));
    }
    trim_caption(&line.sentence).inspect_err(|_| builder.report.empty_captions += 1)?;
    let key = composed_key(pair);
    let (left, right) = match pairs.get(&key) {
        Some(&images) => images,
        None => {
            let directory = line.directory.map(|directory| match directory {
                Directory::Number(number) => number.to_string(),
                Directory::Name(name) => name,
            });
            let mut find = |side: usize| {
                let name = format!("{pair}-img{side}.png");
                let mut candidates = vec![name.clone(), format!("{split}/{name}")];
                if let Some(directory) = &directory {
                    candidates.insert(0, format!("{split}/{directory}/{name}"));
                    candidates.push(format!("{directory}/{name}"));
                }
                builder.find(&candidates)
            };
            let (left, right) = (find(0)?, find(1)?);
            let left = builder.images.push(key, left.0, &left.1, None);
            let right = builder.images.push(key, right.0, &right.1, None);
            pairs.insert(key, (left, right));
            (left, right)
        }
    };
    // The identifier of a skipped line is free.
    identifiers.insert(identifier_hash);
    let record = builder.text_id(identifier);
    let row = builder.push_row(Row {
        second_image: Some(right),
        record: Some(record),
        label: line.label.map_or(StoredLabel::None, |label| {
            StoredLabel::Truth(matches!(label, Truth::True))
        }),
        ..Row::new(left)
    });
    builder.push_caption(row, &line.sentence)
}
