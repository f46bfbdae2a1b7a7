//! Result files in the formats of the official tools, and metrics computed from files.
//!
//! Writers reject what the tools fail on: values that are not finite and repeated ids.
//! Files are renamed into place when they are complete. Readers read record by record and check each
//! against the annotations: a record that is missing, unknown, repeated or invalid is a
//! [`FileError`] that names file, record and id. A [`Selection`] scores a file for a part of the annotations.
//!
//! | task | results | annotations | metrics |
//! |---|---|---|---|
//! | VQA | [`write_vqa`], [`read_vqa`] | `v2_mscoco_*_annotations.json` | [`score_vqa`] |
//! | COCO captions | [`write_captions`], [`read_captions`] | `captions_*.json` | [`score_captions`] |
//! | COCO detection | [`write_detections`], [`read_detections`] | `instances_*.json` | [`score_detections`] |
//! | NLVR2 | [`write_nlvr2`], [`read_nlvr2`] | `dev.json`, `test1.json` | [`score_nlvr2`] |

mod captions;
mod detections;
mod error;
mod ids;
mod json;
mod nlvr2;
mod python;
mod selection;
mod text_file;
mod unlisted;
mod vqa;

pub use captions::{
    AnnotatedCaptions, CaptionResult, read_annotated_captions, read_captions, score_captions,
    write_captions,
};
pub use detections::{ImageSize, read_detections, score_detections, write_detections};
pub use error::FileError;
pub use nlvr2::{read_nlvr2, score_nlvr2, write_nlvr2};
pub use selection::{FileScores, Selection};
pub use vqa::{read_vqa, read_vqa_question_ids, score_vqa, write_vqa};
