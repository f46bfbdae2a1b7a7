//! COCO detections: `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::error::{FileError, with_file};
use super::json::{read_list, read_numbers, read_optional_list, write_array};
use super::python::Number;
use super::selection::{FileScores, Selection};
use super::unlisted::Unlisted;
use crate::EvalError;
use crate::coco_ap::{CocoSummary, Detection, GroundTruth, check_ground_truth, evaluate};

const EXPECTED: &str =
    r#"[{"image_id": int, "category_id": int, "bbox": [x, y, width, height], "score": float}, ..]"#;

/// An image in `instances_*.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// The image.
    pub id: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Writes detections in the order of `detections`, also those without area or outside of their image, as the official tool
/// reads them. If there is an error, no file is written.
///
/// # Errors
/// [`FileError::BadBox`] for a coordinate that is not finite or a width or height below 0, [`FileError::BadScore`],
/// [`FileError::Write`].
pub fn write_detections<'a>(
    file: impl AsRef<Path>,
    detections: impl IntoIterator<Item = &'a Detection>,
) -> Result<(), FileError> {
    let file = file.as_ref();
    write_array(file, detections, |index, d| check(file, index, d))
}

/// Reads detections in the order of the file; each must be in one of `images`. An image may have none.
///
/// A box may extend beyond its image, as those of DETR do. One without area or outside of its image is a detection like any
/// other, as in the official tool; [`score_detections`] counts them.
///
/// # Errors
/// [`FileError`] naming the record: an invalid detection, an unknown image, a score that is not finite, or a box that is
/// not finite or has a width or height below 0.
pub fn read_detections(
    file: impl AsRef<Path>,
    images: &[ImageSize],
) -> Result<Vec<Detection>, FileError> {
    let sizes = images.iter().map(|image| (image.id, Some(*image)));
    read_detections_of(file.as_ref(), &sizes.collect())
}

/// Same as [`read_detections`], with the size of each image, if it is known.
fn read_detections_of(
    file: &Path,
    sizes: &HashMap<u64, Option<ImageSize>>,
) -> Result<Vec<Detection>, FileError> {
    #[derive(Deserialize)]
    struct Record {
        image_id: u64,
        category_id: u32,
        bbox: [Number; 4],
        score: Number,
    }
    let mut detections = Vec::new();
    read_numbers(file, EXPECTED, |index, record: Record| {
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
            expected: sizes.len(),
        };
        if !sizes.contains_key(&detection.image_id) {
            return Err(unknown());
        }
        check(file, index, &detection)?;
        detections.push(detection);
        Ok(())
    })?;
    Ok(detections)
}

fn check(file: &Path, index: usize, detection: &Detection) -> Result<(), FileError> {
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
    let [_, _, width, height] = bbox;
    let problem = if bbox.iter().any(|v| !v.is_finite()) {
        "is not finite"
    } else if width < 0.0 || height < 0.0 {
        "has a side below 0"
    } else {
        return Ok(());
    };
    Err(FileError::BadBox {
        file: file.to_owned(),
        index,
        image_id,
        bbox,
        problem: problem.to_owned(),
    })
}

/// Whether a box has an area in common with its image, or has an area, if the size of the image is unknown.
fn overlaps([x, y, width, height]: [f64; 4], size: Option<ImageSize>) -> bool {
    let is_inside = |size: ImageSize| {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        x < w && y < h && x + width > 0.0 && y + height > 0.0
    };
    width > 0.0 && height > 0.0 && size.is_none_or(is_inside)
}

/// Box AP of a result file against an `instances_*.json`.
///
/// As in the official tool, objects and detections of categories that the list `categories` lacks are not scored, nor are
/// objects of images that the list `images` lacks. Without a list `categories` (the official tool fails), every category
/// is scored. Boxes without area or outside of their image are scored like any others, as in the official tool.
/// [`FileScores::notes`] name what is not scored, and the number of these boxes.
///
/// # Errors
/// [`FileError`], see [`read_detections`] and [`coco_ap::evaluate`](crate::coco_ap::evaluate); an empty result file with
/// [`Selection::InResults`].
pub fn score_detections(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    selection: &Selection<'_>,
) -> Result<FileScores<CocoSummary>, FileError> {
    let Instances {
        mut sizes,
        truths,
        categories,
        mut notes,
    } = read_instances(annotations.as_ref())?;
    let (results, annotated) = (results.as_ref(), sizes.len());
    if let Selection::Ids(ids) = *selection {
        if let Some(index) = ids.iter().position(|id| !sizes.contains_key(id)) {
            let error = EvalError::UnknownId {
                list: "selected images",
                index,
                id: ids[index].to_string(),
            };
            return with_file(annotations.as_ref(), Err(error));
        }
        let ids: HashSet<u64> = ids.iter().copied().collect();
        sizes.retain(|id, _| ids.contains(id));
    }
    let mut detections = read_detections_of(results, &sizes)?;
    let detected_images: HashSet<u64> = detections.iter().map(|d| d.image_id).collect();
    let detected = detected_images.len();
    let image_ids = match *selection {
        Selection::All | Selection::Ids(_) => sizes.keys().copied().collect(),
        Selection::InResults => detected_images,
    };
    if image_ids.is_empty() {
        let error = EvalError::Empty {
            metric: "AP",
            expected: "image",
        };
        return with_file(results, Err(error));
    }
    if let Some(categories) = &categories {
        let mut unlisted = Unlisted::new("detection", "category", "categories");
        detections.retain(|d| unlisted.retain(categories.contains(&d.category_id), d.category_id));
        notes.extend(unlisted.note(results));
    }
    let is_elsewhere = |d: &&Detection| {
        let size = sizes.get(&d.image_id).copied().flatten();
        !overlaps(d.bbox, size)
    };
    let elsewhere = detections.iter().filter(is_elsewhere).count();
    if elsewhere > 0 {
        notes.push(format!(
            "{}: boxes without area or outside of their image: {elsewhere}; they are scored, as in the official tool",
            results.display()
        ));
    }
    let truths: Vec<GroundTruth> = truths
        .into_iter()
        .filter(|truth| image_ids.contains(&truth.image_id))
        .collect();
    let scored: Vec<u64> = image_ids.into_iter().collect();
    let summary = with_file(results, evaluate(&scored, &truths, &detections))?;
    Ok(FileScores {
        notes,
        without_results: scored.len() - detected,
        ..FileScores::new(summary, scored.len(), annotated)
    })
}

/// An `instances_*.json`, without the objects that the official tool does not score.
struct Instances {
    /// Each listed image with its size, if that is given.
    sizes: HashMap<u64, Option<ImageSize>>,
    truths: Vec<GroundTruth>,
    /// Ids of the listed categories; `None` without a list.
    categories: Option<HashSet<u32>>,
    notes: Vec<String>,
}

fn read_instances(file: &Path) -> Result<Instances, FileError> {
    #[derive(Deserialize)]
    struct Image {
        id: u64,
        width: Option<u32>,
        height: Option<u32>,
    }
    #[derive(Deserialize)]
    struct Category {
        id: u32,
    }
    let (mut sizes, mut notes, mut repeated) = (HashMap::new(), Vec::new(), None);
    let expected = r#"{"images": [{"id": int, "width": int, "height": int, ..}, ..], ..}"#;
    read_list(file, "images", expected, |_, image: Image| {
        let Image { id, width, height } = image;
        let size = width.zip(height);
        let size = size.map(|(width, height)| ImageSize { id, width, height });
        if sizes.insert(id, size).is_some_and(|first| first != size) {
            repeated.get_or_insert(id);
        }
        Ok(())
    })?;
    if let Some(id) = repeated {
        notes.push(format!(
            "{}: image {id} is listed with different sizes; the last one is used",
            file.display()
        ));
    }
    let mut categories = HashSet::new();
    let expected = r#"{"categories": [{"id": int, ..}, ..], ..}"#;
    let is_present = read_optional_list(file, "categories", expected, |_, category: Category| {
        categories.insert(category.id);
        Ok(())
    })?;
    let categories = is_present.then_some(categories);
    if categories.is_none() {
        notes.push(format!(
            "{}: no list \"categories\"; every annotated category is scored",
            file.display()
        ));
    }
    let mut unlisted_categories = Unlisted::new("annotation", "category", "categories");
    let mut unlisted_images = Unlisted::new("annotation", "image", "images");
    let mut truths = Vec::new();
    let expected = r#"{"annotations": [{"image_id", "category_id", "bbox": [x, y, width, height], "area", "iscrowd"}, ..], ..}"#;
    read_list(file, "annotations", expected, |index, t: GroundTruth| {
        with_file(file, check_ground_truth(index, &t))?;
        let is_listed = categories
            .as_ref()
            .is_none_or(|categories| categories.contains(&t.category_id));
        if unlisted_categories.retain(is_listed, t.category_id)
            && unlisted_images.retain(sizes.contains_key(&t.image_id), t.image_id)
        {
            truths.push(t);
        }
        Ok(())
    })?;
    notes.extend(unlisted_categories.note(file));
    notes.extend(unlisted_images.note(file));
    Ok(Instances {
        sizes,
        truths,
        categories,
        notes,
    })
}
