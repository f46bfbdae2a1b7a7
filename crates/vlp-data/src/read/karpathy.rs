use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    builder::{Builder, name_of},
    pictures::{Folders, name_key},
    records::{Raw, lists},
    source::{CocoIds, FileSource, Row},
};
use crate::{DataError, LabelSpace, Limits};

/// A split of Karpathy's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KarpathySplit {
    /// 82,783 images of COCO, 29,000 of Flickr30k.
    Train,
    /// COCO's 30,504 validation images that are in neither `val` nor `test`; trained on together with `train`.
    Restval,
    /// 5,000 images of COCO, 1,014 of Flickr30k.
    Val,
    /// 5,000 images of COCO, 1,000 of Flickr30k.
    Test,
}

impl KarpathySplit {
    /// The 113,287 images of COCO that are trained on.
    pub const TRAINING: [Self; 2] = [Self::Train, Self::Restval];
    /// The images that must never be trained on.
    pub const HELD_OUT: [Self; 2] = [Self::Val, Self::Test];
}

#[derive(Deserialize)]
struct Image {
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

/// Reads images of the given splits from `dataset_coco.json` or `dataset_flickr30k.json`: one sample an image with its
/// captions, in the file's order. Its key is the `cocoid`, or the hash of the file's name ([`name_key`]) without one.
/// Pictures are `filepath/filename` or `filename` in `images`.
///
/// # Errors
/// When the file or `images` is missing, it is not in the format, or no image can be used.
pub fn karpathy(
    file: impl AsRef<Path>,
    images: impl Into<PathBuf>,
    splits: &[KarpathySplit],
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let file = file.as_ref();
    let folders = Folders::new(vec![images.into()])?;
    let mut builder = Builder::new(name_of(file), folders, limits);
    let (mut seen, mut coco) = (HashSet::new(), true);
    lists(file, &["images"], &[], |_, raw| {
        match image(file, &mut builder, &raw, splits, &mut seen) {
            Ok(is_coco) => coco &= is_coco,
            Err((record, reason)) => builder.fault(file, record, reason),
        }
    })?;
    let coco = if coco {
        CocoIds::Keys
    } else {
        CocoIds::Unknown
    };
    builder.finish(file, LabelSpace::default(), coco)
}

/// Whether the image is COCO's; else which record is wrong and why.
fn image(
    path: &Path,
    builder: &mut Builder,
    raw: &Raw<'_>,
    splits: &[KarpathySplit],
    seen: &mut HashSet<u64>,
) -> Result<bool, (String, String)> {
    let numbered = |reason: String| (format!("image number {}", raw.number), reason);
    let image: Image = raw.parse().map_err(numbered)?;
    let Some(file) = image.filename else {
        return Err(numbered("it lacks filename".into()));
    };
    let is_coco = image.cocoid.is_some();
    if !splits.contains(&image.split) {
        builder.report.other_splits += 1;
        return Ok(is_coco);
    }
    let record = |reason: String| (format!("image {file}"), reason);
    let key = image.cocoid.unwrap_or_else(|| name_key(&file));
    if !seen.insert(key) {
        return Err(record("it occurs twice".into()));
    }
    let nested = image.filepath.map(|folder| format!("{folder}/{file}"));
    let places: Vec<String> = nested.into_iter().chain([file.clone()]).collect();
    let (root, found) = builder.find(&places).map_err(record)?;
    let picture = builder.pictures.push(key, root, &found, None);
    let row = builder.row(Row::new(picture));
    for (number, sentence) in image.sentences.iter().enumerate() {
        if let Err(reason) = builder.caption(row, &sentence.raw) {
            builder.fault(
                path,
                format!("image {file}, sentence {}", number + 1),
                reason,
            );
        }
    }
    Ok(is_coco)
}

/// The COCO ids of the images of some splits.
pub(crate) fn coco_ids(file: &Path, splits: &[KarpathySplit]) -> Result<HashSet<u64>, DataError> {
    let mut ids = HashSet::new();
    let mut wrong = None;
    lists(file, &["images"], &[], |_, raw| {
        match raw.parse::<Image>() {
            Ok(image) if !splits.contains(&image.split) => {}
            Ok(Image {
                cocoid: Some(id), ..
            }) => {
                ids.insert(id);
            }
            Ok(_) => {
                wrong = wrong
                    .take()
                    .or(Some((raw.number, "it lacks cocoid".to_owned())))
            }
            Err(reason) => wrong = wrong.take().or(Some((raw.number, reason))),
        }
    })?;
    // An image that cannot be read might be the one that leaks: nothing is left out here.
    match wrong {
        None => Ok(ids),
        Some((number, reason)) => Err(DataError::Format {
            path: file.into(),
            reason: format!(
                "image number {number}: {reason}; every image must have cocoid and split, as in dataset_coco.json"
            ),
        }),
    }
}
