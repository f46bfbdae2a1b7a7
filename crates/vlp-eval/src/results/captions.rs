//! COCO captions: `[{"image_id": int, "caption": str}]`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{FileError, with_file};
use super::ids::{ExpectedIds, UniqueIds};
use super::json::{read_array, read_list, read_optional_list, write_array};
use super::selection::{FileScores, Selection};
use super::unlisted::Unlisted;
use crate::EvalError;
use crate::caption::{CaptionPair, CaptionScores, caption_scores};

const EXPECTED: &str = r#"[{"image_id": int, "caption": str}, ..]"#;

/// A generated caption, with the field names of COCO's result files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptionResult {
    /// The image.
    pub image_id: u64,
    /// Its caption, not tokenized.
    pub caption: String,
}

/// Writes one caption per image, in the order of `results`.
///
/// # Errors
/// [`FileError::Duplicate`] for an image with two captions, [`FileError::Write`].
pub fn write_captions<'a>(
    file: impl AsRef<Path>,
    results: impl IntoIterator<Item = &'a CaptionResult>,
) -> Result<(), FileError> {
    let (file, mut ids) = (file.as_ref(), UniqueIds::new());
    write_array(file, results, |index, r| {
        ids.insert(file, "image", index, &r.image_id)
    })
}

/// Reads the captions in the order of the file; there must be one for each of `images` and no others.
///
/// # Errors
/// [`FileError`] naming the record: an invalid caption, or an image that is repeated, missing or unknown.
pub fn read_captions(
    file: impl AsRef<Path>,
    images: &[u64],
) -> Result<Vec<CaptionResult>, FileError> {
    let file = file.as_ref();
    read_expected_captions(file, ExpectedIds::new(file, "image", images))
}

fn read_expected_captions(
    file: &Path,
    mut expected_ids: ExpectedIds<'_, u64>,
) -> Result<Vec<CaptionResult>, FileError> {
    let mut results = Vec::new();
    read_array(file, EXPECTED, |index, result: CaptionResult| {
        expected_ids.insert(index, &result.image_id)?;
        results.push(result);
        Ok(())
    })?;
    expected_ids.finish()?;
    Ok(results)
}

/// Scores a result file against a `captions_*.json`; see [`read_annotated_captions`].
///
/// # Errors
/// As [`read_annotated_captions`]; [`FileError::Score`] if there is no caption.
pub fn score_captions(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    selection: &Selection<'_>,
) -> Result<FileScores<CaptionScores>, FileError> {
    let results = results.as_ref();
    let captions = read_annotated_captions(results, annotations, selection)?;
    let scores = with_file(results, caption_scores(&captions.pairs()))?;
    Ok(FileScores {
        notes: captions.notes,
        ..FileScores::new(scores, captions.results.len(), captions.annotated)
    })
}

/// Captions of a result file with the references of their images.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnnotatedCaptions {
    /// The captions in the order of the result file.
    pub results: Vec<CaptionResult>,
    /// For each of `results` the human captions of its image, at least one.
    pub references: Vec<Vec<String>>,
    /// Number of images with captions in the annotations.
    pub annotated: usize,
    /// Annotations that were not used, as in the official tool.
    pub notes: Vec<String>,
}

impl AnnotatedCaptions {
    /// The captions as input of the metrics.
    #[must_use]
    pub fn pairs(&self) -> Vec<CaptionPair<'_>> {
        let pairs = self.results.iter().zip(&self.references);
        pairs
            .map(|(result, references)| CaptionPair {
                hypothesis: &result.caption,
                references,
            })
            .collect()
    }
}

/// Reads the captions of a result file and, for each, the references of its image from a `captions_*.json`.
///
/// As in the official tool, captions of images that the list `images` lacks are not used; the list may be absent.
///
/// # Errors
/// [`FileError`], see [`read_captions`]; [`FileError::Score`] for an image without a reference.
pub fn read_annotated_captions(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    selection: &Selection<'_>,
) -> Result<AnnotatedCaptions, FileError> {
    #[derive(Deserialize)]
    struct Image {
        id: u64,
    }
    let annotations = annotations.as_ref();
    let mut listed_images = HashSet::new();
    let expected = r#"{"images": [{"id": int, ..}, ..], ..}"#;
    let has_images = read_optional_list(annotations, "images", expected, |_, image: Image| {
        listed_images.insert(image.id);
        Ok(())
    })?;
    let mut unlisted = Unlisted::new("annotation", "image", "images");
    let mut references_by_image: HashMap<u64, Vec<String>> = HashMap::new();
    let mut image_ids = Vec::new();
    let expected = r#"{"annotations": [{"image_id": int, "caption": str, ..}, ..]}"#;
    read_list(
        annotations,
        "annotations",
        expected,
        |_, annotation: CaptionResult| {
            let CaptionResult { image_id, caption } = annotation;
            if unlisted.retain(!has_images || listed_images.contains(&image_id), image_id) {
                let captions = references_by_image.entry(image_id).or_default();
                if captions.is_empty() {
                    image_ids.push(image_id);
                }
                captions.push(caption);
            }
            Ok(())
        },
    )?;
    let file = results.as_ref();
    let expected_ids = ExpectedIds::select(file, "image", &image_ids, selection);
    let results = read_expected_captions(file, expected_ids)?;
    let references = |(index, result): (usize, &CaptionResult)| {
        let references = references_by_image.get(&result.image_id).cloned();
        references.ok_or(EvalError::NoReferences { index })
    };
    let references: Result<Vec<_>, _> = results.iter().enumerate().map(references).collect();
    Ok(AnnotatedCaptions {
        references: with_file(file, references)?,
        results,
        annotated: image_ids.len(),
        notes: unlisted.note(annotations).into_iter().collect(),
    })
}
