//! COCO captions: `[{"image_id": int, "caption": str}]`.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::answers::{Answers, Once};
use super::json::{read_array, read_list, write_array};
use super::{FileError, scored};
use crate::EvalError;
use crate::caption::{CaptionPair, CaptionScores, caption_scores};

const RECORD: &str = r#"[{"image_id": int, "caption": str}, ..]"#;

/// A generated caption, with the field names of COCO's result files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptionResult {
    /// The picture.
    pub image_id: u64,
    /// Its caption, as written: not split, not in lower case.
    pub caption: String,
}

/// Writes one caption a picture, in the order given.
///
/// # Errors
/// [`FileError::Duplicate`] for a picture with two captions, [`FileError::Write`].
pub fn write_captions<'a>(
    file: impl AsRef<Path>,
    results: impl IntoIterator<Item = &'a CaptionResult>,
) -> Result<(), FileError> {
    let (file, mut once) = (file.as_ref(), Once::new());
    write_array(file, results, |index, r| {
        once.take(file, "image", index, &r.image_id)
    })
}

/// Reads the captions of `images`, each of which must have one; in the order of the file.
///
/// # Errors
/// [`FileError`] naming the record: one that is no caption, a picture captioned twice, not at all
/// or not known.
pub fn read_captions(
    file: impl AsRef<Path>,
    images: &[u64],
) -> Result<Vec<CaptionResult>, FileError> {
    let file = file.as_ref();
    let mut answers = Answers::new(file, "image", images);
    let mut results = Vec::new();
    read_array(file, RECORD, |index, result: CaptionResult| {
        answers.take(index, &result.image_id)?;
        results.push(result);
        Ok(())
    })?;
    answers.finish()?;
    Ok(results)
}

/// Scores of a result file against a `captions_*.json`; see [`caption_pairs`].
///
/// # Errors
/// As [`caption_pairs`]; [`FileError::Score`] for a picture without a reference.
pub fn caption(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    images: Option<&[u64]>,
) -> Result<CaptionScores, FileError> {
    let results = results.as_ref();
    let found = caption_pairs(results, annotations, images)?;
    let pairs: Vec<CaptionPair<'_>> = found
        .iter()
        .map(|(result, references)| CaptionPair {
            hypothesis: &result.caption,
            references,
        })
        .collect();
    scored(results, caption_scores(&pairs))
}

/// Captions of a result file, each with the references of its picture in a `captions_*.json`.
///
/// `images` names the pictures that must be captioned, and no other may be: `None` for all of the
/// annotations, a list for a part of them, as Karpathy's 5,000 test pictures are of val2014.
///
/// # Errors
/// [`FileError`], as [`read_captions`]; [`FileError::Score`] for a picture without a reference.
pub fn caption_pairs(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    images: Option<&[u64]>,
) -> Result<Vec<(CaptionResult, Vec<String>)>, FileError> {
    let mut references: HashMap<u64, Vec<String>> = HashMap::new();
    let mut ids = Vec::new();
    let expected = r#"{"annotations": [{"image_id": int, "caption": str, ..}, ..]}"#;
    let annotations = annotations.as_ref();
    read_list(
        annotations,
        "annotations",
        expected,
        |_, a: CaptionResult| {
            let own = references.entry(a.image_id).or_default();
            if own.is_empty() {
                ids.push(a.image_id);
            }
            own.push(a.caption);
            Ok(())
        },
    )?;
    let results = results.as_ref();
    let captions = read_captions(results, images.unwrap_or(&ids))?;
    let pair = |(index, result): (usize, CaptionResult)| {
        let own = references.get(&result.image_id).cloned();
        let own = own.ok_or(EvalError::NoReferences { index })?;
        Ok((result, own))
    };
    let found: Result<Vec<_>, _> = captions.into_iter().enumerate().map(pair).collect();
    scored(results, found)
}
