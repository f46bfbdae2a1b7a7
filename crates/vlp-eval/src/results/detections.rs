//! COCO detections: `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]`.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::json::{read_list, read_numbers, write_array};
use super::python::Number;
use super::{FileError, scored};
use crate::coco_ap::{CocoSummary, Detection, GroundTruth, evaluate};

const RECORD: &str =
    r#"[{"image_id": int, "category_id": int, "bbox": [x, y, width, height], "score": float}, ..]"#;

/// A picture as `instances_*.json` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ImageSize {
    /// The picture.
    pub id: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Writes detections in the order given.
///
/// # Errors
/// [`FileError::BadBox`] for a coordinate that is not finite or a side that is not over 0,
/// [`FileError::BadScore`], [`FileError::Write`]. Nothing is written then.
pub fn write_detections<'a>(
    file: impl AsRef<Path>,
    detections: impl IntoIterator<Item = &'a Detection>,
) -> Result<(), FileError> {
    let file = file.as_ref();
    write_array(file, detections, |index, d| check(file, index, d, None))
}

/// Reads the detections in `images`; in the order of the file. A picture may have none.
///
/// A box may stick out of its picture, as DETR's do, but must share a part with it.
///
/// # Errors
/// [`FileError`] naming the record: one that is no detection, a picture that is not known, a score
/// that is not finite, a box that is not finite, has no area or lies outside its picture.
pub fn read_detections(
    file: impl AsRef<Path>,
    images: &[ImageSize],
) -> Result<Vec<Detection>, FileError> {
    #[derive(Deserialize)]
    struct Record {
        image_id: u64,
        category_id: u32,
        bbox: [Number; 4],
        score: Number,
    }
    let file = file.as_ref();
    let sizes: HashMap<u64, ImageSize> = images.iter().map(|i| (i.id, *i)).collect();
    let mut detections = Vec::new();
    read_numbers(file, RECORD, |index, record: Record| {
        let detection = Detection {
            image_id: record.image_id,
            category_id: record.category_id,
            bbox: record.bbox.map(|n| n.0),
            score: record.score.0,
        };
        let unknown = || FileError::UnknownId {
            file: file.to_owned(),
            index,
            id: format!("image {}", detection.image_id),
            known: sizes.len(),
        };
        let size = sizes.get(&detection.image_id).ok_or_else(unknown)?;
        check(file, index, &detection, Some(size))?;
        detections.push(detection);
        Ok(())
    })?;
    Ok(detections)
}

fn check(
    file: &Path,
    index: usize,
    detection: &Detection,
    size: Option<&ImageSize>,
) -> Result<(), FileError> {
    let &Detection {
        image_id,
        bbox,
        score,
        ..
    } = detection;
    if !score.is_finite() {
        return Err(FileError::BadScore {
            file: file.to_owned(),
            index,
            image_id,
            score,
        });
    }
    let [x, y, width, height] = bbox;
    let outside = |size: &ImageSize| {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        x >= w || y >= h || x + width <= 0.0 || y + height <= 0.0
    };
    let problem = if bbox.iter().any(|v| !v.is_finite()) {
        "is not finite".to_owned()
    } else if width <= 0.0 || height <= 0.0 {
        "has no area".to_owned()
    } else {
        match size.filter(|size| outside(size)) {
            None => return Ok(()),
            Some(size) => format!("lies outside the {} x {} picture", size.width, size.height),
        }
    };
    Err(FileError::BadBox {
        file: file.to_owned(),
        index,
        image_id,
        bbox,
        problem,
    })
}

/// Box AP of a result file against an `instances_*.json`, over all its pictures.
///
/// # Errors
/// [`FileError`], as [`read_detections`] and [`evaluate`].
pub fn coco_ap(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
) -> Result<CocoSummary, FileError> {
    let annotations = annotations.as_ref();
    let (mut images, mut truths) = (Vec::new(), Vec::new());
    let expected = r#"{"images": [{"id": int, "width": int, "height": int, ..}, ..], ..}"#;
    read_list(annotations, "images", expected, |_, image: ImageSize| {
        images.push(image);
        Ok(())
    })?;
    let expected = r#"{"annotations": [{"image_id", "category_id", "bbox": [x, y, width, height], "area", "iscrowd"}, ..], ..}"#;
    read_list(annotations, "annotations", expected, |_, t: GroundTruth| {
        truths.push(t);
        Ok(())
    })?;
    let results = results.as_ref();
    let detections = read_detections(results, &images)?;
    let ids: Vec<u64> = images.iter().map(|image| image.id).collect();
    scored(results, evaluate(&ids, &truths, &detections))
}
