use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    builder::{SourceBuilder, source_name},
    folders::{Folders, name_key},
    records::{RawRecord, lists},
    row::{CocoIds, Row},
    source::FileSource,
};
use crate::{DataError, LabelSpace, Limits};

/// A split of Karpathy's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KarpathySplit {
    /// 82,783 images of COCO, 29,000 of Flickr30k.
    Train,
    /// The 30,504 images of COCO's validation set that are in neither `val` nor `test`; trained on together with `train`.
    Restval,
    /// 5,000 images of COCO, 1,014 of Flickr30k.
    Val,
    /// 5,000 images of COCO, 1,000 of Flickr30k.
    Test,
}

impl KarpathySplit {
    /// The splits to train on: 113,287 images of COCO.
    pub const TRAINING: [Self; 2] = [Self::Train, Self::Restval];
    /// The splits that must not be trained on.
    pub const EVALUATION: [Self; 2] = [Self::Val, Self::Test];
}

#[derive(Deserialize)]
struct ImageRecord {
    filename: Option<String>,
    filepath: Option<String>,
    cocoid: Option<u64>,
    split: KarpathySplit,
    #[serde(default)]
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

/// Reads the images of some splits from `dataset_coco.json` or `dataset_flickr30k.json`: one sample per image with its
/// captions, in the file's order. The key is the `cocoid`, otherwise the hash of the file name ([`name_key`]). The images are
/// `filepath/filename` or `filename` in the folder `images`.
///
/// # Errors
/// If the file or `images` is missing, the file has another format, or no image is valid.
pub fn karpathy(
    file: impl AsRef<Path>,
    images: impl Into<PathBuf>,
    splits: &[KarpathySplit],
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let file = file.as_ref();
    let folders = Folders::new(vec![images.into()])?;
    let mut builder = SourceBuilder::new(source_name(file), folders, limits);
    let (mut files, mut coco_ids, mut all_have_coco_ids) = (HashMap::new(), BTreeMap::new(), true);
    lists(file, &["images"], &[], |_, record| {
        match add_image(file, &mut builder, &record, splits, &mut files) {
            Ok(Some(id)) => {
                coco_ids.insert(id, id);
            }
            Ok(None) => all_have_coco_ids = false,
            Err((record, reason)) => builder.skip(file, record, reason),
        }
    })?;
    let coco_ids = if all_have_coco_ids {
        CocoIds::Keys
    } else {
        CocoIds::ByKey(coco_ids)
    };
    builder.finish(file, LabelSpace::default(), coco_ids)
}

/// Adds an image if it is in one of the splits, and returns its COCO id, which is then its key.
///
/// # Errors
/// The record and why it is skipped.
fn add_image(
    path: &Path,
    builder: &mut SourceBuilder,
    record: &RawRecord<'_>,
    splits: &[KarpathySplit],
    files: &mut HashMap<u64, String>,
) -> Result<Option<u64>, (String, String)> {
    let numbered = |reason: String| (format!("image number {}", record.number), reason);
    let image: ImageRecord = record.parse().map_err(numbered)?;
    let Some(file) = image.filename else {
        return Err(numbered("it lacks filename".into()));
    };
    if !splits.contains(&image.split) {
        builder.report.other_splits += 1;
        return Ok(image.cocoid);
    }
    let named = |reason: String| (format!("image {file}"), reason);
    let key = image.cocoid.unwrap_or_else(|| name_key(&file));
    let nested = image.filepath.map(|folder| format!("{folder}/{file}"));
    let path_in_file = nested.clone().unwrap_or_else(|| file.clone());
    if let Some(first) = files.get(&key) {
        let reason = if *first == path_in_file {
            "it occurs twice".to_owned()
        } else {
            format!("{path_in_file} has the id {key} of {first}; an id occurs twice")
        };
        return Err(named(reason));
    }
    files.insert(key, path_in_file);
    let candidates: Vec<String> = nested.into_iter().chain([file.clone()]).collect();
    let (root, image_file) = builder.find(&candidates).map_err(named)?;
    let image_index = builder.images.push(key, root, &image_file, None);
    let row = builder.push_row(Row::new(image_index));
    for (index, sentence) in image.sentences.iter().enumerate() {
        if let Err(reason) = builder.push_caption(row, &sentence.raw) {
            let sentence = format!("image {file}, sentence {}", index + 1);
            builder.skip(path, sentence, reason);
        }
    }
    Ok(image.cocoid)
}

/// The COCO ids of the images of some splits.
///
/// # Errors
/// If the file is unreadable, or any image is invalid: one that is skipped might be in the splits.
pub(crate) fn coco_ids(file: &Path, splits: &[KarpathySplit]) -> Result<HashSet<u64>, DataError> {
    let mut ids = HashSet::new();
    let mut first_invalid = None;
    lists(file, &["images"], &[], |_, record| {
        let reason = match record.parse::<ImageRecord>() {
            Ok(image) if !splits.contains(&image.split) => return,
            Ok(ImageRecord {
                cocoid: Some(id), ..
            }) => {
                ids.insert(id);
                return;
            }
            Ok(_) => "it lacks cocoid".to_owned(),
            Err(reason) => reason,
        };
        first_invalid.get_or_insert((record.number, reason));
    })?;
    match first_invalid {
        None => Ok(ids),
        Some((number, reason)) => Err(DataError::Format {
            path: file.into(),
            reason: format!(
                "image number {number}: {reason}; every image must have cocoid and split, as in dataset_coco.json"
            ),
        }),
    }
}
