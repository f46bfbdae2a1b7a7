use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::SkippedRecord;

/// Maximum number of listed records; the rest is only counted.
const MAX_LISTED: usize = 10_000;
/// Maximum length of a caption in bytes.
const MAX_CAPTION: usize = 10_000;

/// Counts of what a reader read, corrected and skipped, in the same form for every format.
///
/// An invalid record is skipped alone, counted in `skipped` and listed in `skipped_records`. The following counts are
/// included in `skipped`, except `clipped_boxes`, which are kept, and records that are excluded by the options or the
/// format: `duplicate_boxes`, `other_splits`, `unlabeled`, `outside_vocabulary`, `boxes_of_other_images` and `other_members`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadReport {
    /// Samples.
    pub samples: usize,
    /// Distinct images of the samples.
    pub images: usize,
    /// Captions, questions, statements or hypotheses of the samples.
    pub captions: usize,
    /// Boxes of the samples.
    pub objects: usize,
    /// Skipped invalid records.
    pub skipped: usize,
    /// Captions without a word or of more than 10,000 bytes.
    pub empty_captions: usize,
    /// Boxes without area inside their image, which are scored but are not training targets, or with a number that is not
    /// finite.
    pub empty_boxes: usize,
    /// Records whose image is missing.
    pub missing_images: usize,
    /// Boxes that extended beyond their image by more than half a pixel and were clipped.
    pub clipped_boxes: usize,
    /// Objects that were annotated more than once and are one.
    pub duplicate_boxes: usize,
    /// Boxes of images that the caption file does not have.
    pub boxes_of_other_images: usize,
    /// Records of splits that were not requested.
    pub other_splits: usize,
    /// Records without a label that the annotators agreed on (SNLI-VE's `-`).
    pub unlabeled: usize,
    /// Boxes and attributes whose names are not in the vocabulary.
    pub outside_vocabulary: usize,
    /// Shard members that are not read because of their file extension, and folders.
    pub other_members: usize,
    /// The first 10,000 skipped records, with file and reason.
    pub skipped_records: Vec<SkippedRecord>,
}

impl ReadReport {
    /// Counts an invalid record, and lists it if there is room.
    pub(crate) fn skip(
        &mut self,
        source: &str,
        file: &Path,
        record: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.skipped += 1;
        if self.skipped_records.len() < MAX_LISTED {
            self.skipped_records.push(SkippedRecord {
                source: source.into(),
                file: file.display().to_string(),
                record: record.into(),
                reason: reason.into(),
            });
        }
    }
}

impl fmt::Display for ReadReport {
    /// One line; counts that are zero are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples of {} images, {} captions, {} boxes; {} invalid records skipped",
            self.samples, self.images, self.captions, self.objects, self.skipped
        )?;
        let counts = [
            (self.empty_captions, "captions without words"),
            (self.empty_boxes, "boxes without area"),
            (self.missing_images, "images missing"),
            (self.clipped_boxes, "boxes clipped"),
            (self.duplicate_boxes, "duplicate boxes"),
            (self.boxes_of_other_images, "boxes of other images"),
            (self.other_splits, "records of other splits"),
            (self.unlabeled, "without a label"),
            (self.outside_vocabulary, "labels outside the vocabulary"),
            (self.other_members, "members of other kinds"),
        ];
        for (count, name) in counts.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
    }
}

/// A caption without surrounding white space.
///
/// # Errors
/// What is wrong with a caption that is too long or has no words.
pub(crate) fn trim_caption(text: &str) -> Result<&str, String> {
    let text = text.trim();
    if text.len() > MAX_CAPTION {
        return Err(format!(
            "its text has {} bytes, more than {MAX_CAPTION}",
            text.len()
        ));
    }
    if !text.contains(char::is_alphanumeric) {
        return Err("its text has no words".into());
    }
    Ok(text)
}
