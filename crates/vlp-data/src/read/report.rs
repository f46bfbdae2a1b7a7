use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::Fault;

/// Most faults that are listed; more are only counted.
const MAX_LISTED: usize = 10_000;
/// Longest caption in bytes; a longer one is no caption.
const MAX_CAPTION: usize = 10_000;

/// What a reader read, mended and left out: the same for every format.
///
/// Whatever is wrong is left out alone, counted in `left_out` and listed in `faults`; the order of the rest does not
/// change. The counts of kinds below `left_out` are part of it, but for `clipped_boxes`, which are kept, and those that
/// are left out by request or by the format's rules: `other_splits`, `unlabelled`, `outside_vocabulary`,
/// `boxes_elsewhere` and `other_members`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadReport {
    /// Samples.
    pub samples: usize,
    /// Different images of the samples.
    pub images: usize,
    /// Their captions, questions, statements or hypotheses.
    pub captions: usize,
    /// Their boxes.
    pub objects: usize,
    /// Wrong records left out.
    pub left_out: usize,
    /// Captions without a word, or of more than 10,000 bytes.
    pub empty_captions: usize,
    /// Boxes without an area inside their image, or with a number that is not finite.
    pub empty_boxes: usize,
    /// Records of which the picture is missing.
    pub missing_pictures: usize,
    /// Boxes that reached out of their image by more than half a pixel, clipped.
    pub clipped_boxes: usize,
    /// Boxes of images that the caption file does not have.
    pub boxes_elsewhere: usize,
    /// Records of splits that were not asked for.
    pub other_splits: usize,
    /// Records without a label on which the annotators agreed (SNLI-VE's `-`).
    pub unlabelled: usize,
    /// Boxes of none of the classes of a vocabulary, and attributes outside of it.
    pub outside_vocabulary: usize,
    /// Members of shards of kinds that are not read, folders included.
    pub other_members: usize,
    /// The first 10,000 wrong records, with file and reason.
    pub faults: Vec<Fault>,
}

impl ReadReport {
    /// Counts a wrong record, and lists it while there are not too many.
    pub(crate) fn fault(
        &mut self,
        source: &str,
        file: &Path,
        record: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.left_out += 1;
        if self.faults.len() < MAX_LISTED {
            self.faults.push(Fault {
                source: source.into(),
                file: file.display().to_string(),
                record: record.into(),
                reason: reason.into(),
            });
        }
    }
}

impl fmt::Display for ReadReport {
    /// One line of the counts that are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples of {} images, {} captions, {} boxes; {} wrong records left out",
            self.samples, self.images, self.captions, self.objects, self.left_out
        )?;
        let counts = [
            (self.empty_captions, "captions without words"),
            (self.empty_boxes, "boxes without area"),
            (self.missing_pictures, "pictures missing"),
            (self.clipped_boxes, "boxes clipped"),
            (self.boxes_elsewhere, "boxes of other images"),
            (self.other_splits, "records of other splits"),
            (self.unlabelled, "without a label"),
            (self.outside_vocabulary, "labels outside the vocabulary"),
            (self.other_members, "members of other kinds"),
        ];
        for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        Ok(())
    }
}

/// A caption without the space around it, or why it is none.
pub(crate) fn caption(text: &str) -> Result<&str, String> {
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
