//! Result files as the official tools read them, and scores straight from files.
//!
//! Writers refuse what the tools would fail on: a value that is not finite, two answers to one id.
//! A file appears whole or not at all. Readers go through big files record by record and hold each
//! against the ground truth: what is missing, unknown, answered twice or not usable is a
//! [`FileError`] that names file, record and id.
//!
//! | task | results | ground truth | scores |
//! |---|---|---|---|
//! | VQA | [`write_vqa`], [`read_vqa`] | `v2_mscoco_*_annotations.json` | [`vqa`] |
//! | COCO captions | [`write_captions`], [`read_captions`] | `captions_*.json` | [`caption`] |
//! | COCO detection | [`write_detections`], [`read_detections`] | `instances_*.json` | [`coco_ap`] |
//! | NLVR2 | [`write_nlvr2`], [`read_nlvr2`] | `dev.json`, `test1.json` | [`nlvr2`] |

mod answers;
mod captions;
mod detections;
mod error;
mod json;
mod nlvr2;
mod python;
mod vqa;

use std::path::Path;

use crate::EvalError;

pub use captions::{CaptionResult, caption, caption_pairs, read_captions, write_captions};
pub use detections::{ImageSize, coco_ap, read_detections, write_detections};
pub use error::FileError;
pub use nlvr2::{nlvr2, read_nlvr2, write_nlvr2};
pub use vqa::{read_vqa, vqa, vqa_questions, write_vqa};

/// Says which file could not be scored.
fn scored<T>(file: &Path, result: Result<T, EvalError>) -> Result<T, FileError> {
    result.map_err(|source| FileError::Score {
        file: file.to_owned(),
        source,
    })
}
