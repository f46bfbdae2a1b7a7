//! COCO box average precision, as the official COCO tool computes it.
//!
//! Boxes are absolute `[x, y, width, height]` in pixels. Precision is interpolated at 101 recalls
//! and averaged over the ten IoU thresholds 0.50, 0.55, .., 0.95; at most 100 detections of an
//! image and category count. Crowd regions and objects outside the size range are neither to be
//! found nor errors when found. Equal scores keep their order: images by id, then as given.

mod iou;
mod matching;
mod precision;

use serde::{Deserialize, Serialize};

use crate::EvalError;
use matching::{Outcome, match_image};
use precision::CategoryTally;

/// IoU thresholds.
pub(crate) const THRESHOLDS: usize = 10;
/// Size ranges: all, small (< 32² px), medium, large (> 96² px). Bounds belong to both ranges.
pub(crate) const AREAS: [[f64; 2]; 4] =
    [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
/// Most detections of one image and category that are looked at.
pub(crate) const MAX_DETECTIONS: usize = 100;

/// One annotated object, with the field names of COCO's `instances_*.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// Image it is in.
    pub image_id: u64,
    /// Its class.
    pub category_id: u32,
    /// Absolute `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Area in px² that decides the size range: COCO's is the segment's, not the box's.
    pub area: f64,
    /// A region of many objects (`iscrowd` 0 or 1 in JSON; 0 when absent).
    #[serde(rename = "iscrowd", default, with = "crowd_flag")]
    pub crowd: bool,
}

/// One detected object, with the field names of COCO's result files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Image it was found in.
    pub image_id: u64,
    /// Predicted class.
    pub category_id: u32,
    /// Absolute `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Confidence; any finite number, higher is surer.
    pub score: f64,
}

/// The twelve COCO numbers, each in 0..=1, and AP by category.
///
/// `None` where no object of that size range exists (the official tool prints -1).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoSummary {
    /// AP over IoU 0.50:0.95.
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    pub ap75: Option<f64>,
    /// AP of objects up to 32² px.
    pub ap_small: Option<f64>,
    /// AP of objects from 32² to 96² px.
    pub ap_medium: Option<f64>,
    /// AP of objects from 96² px.
    pub ap_large: Option<f64>,
    /// Recall with 1 detection per image and category.
    pub ar1: Option<f64>,
    /// Recall with 10 detections per image and category.
    pub ar10: Option<f64>,
    /// Recall with 100 detections per image and category.
    pub ar100: Option<f64>,
    /// Recall of objects up to 32² px, 100 detections.
    pub ar_small: Option<f64>,
    /// Recall of objects from 32² to 96² px, 100 detections.
    pub ar_medium: Option<f64>,
    /// Recall of objects from 96² px, 100 detections.
    pub ar_large: Option<f64>,
    /// Every category with a ground-truth object, by ascending id.
    pub categories: Vec<CategoryAp>,
}

impl CocoSummary {
    /// The twelve numbers in the order the official tool prints them: AP, AP50, AP75, AP by size,
    /// recall by limit, recall by size.
    #[must_use]
    pub fn numbers(&self) -> [Option<f64>; 12] {
        [
            self.ap,
            self.ap50,
            self.ap75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar1,
            self.ar10,
            self.ar100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
    }
}

/// AP of one category, over all sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryAp {
    /// The category.
    pub category_id: u32,
    /// AP over IoU 0.50:0.95; `None` if all its objects are crowds.
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    pub ap75: Option<f64>,
}

/// Scores `detections` against `ground_truth` over the given images.
///
/// Images without any object count: a detection there is a false positive. Detections of a
/// category that has no ground truth are not scored, as in the official tool. Repeated ids in
/// `images` count once.
///
/// # Errors
/// [`EvalError`] naming the record: a box, area or score that is not finite, a negative width,
/// height or area, or an image that is not in `images`.
pub fn evaluate(
    images: &[u64],
    ground_truth: &[GroundTruth],
    detections: &[Detection],
) -> Result<CocoSummary, EvalError> {
    evaluate_with_progress(images, ground_truth, detections, |_, _| ())
}

/// As [`evaluate`]; `progress` hears how many of how many categories are done, after each.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with_progress(
    images: &[u64],
    ground_truth: &[GroundTruth],
    detections: &[Detection],
    mut progress: impl FnMut(usize, usize),
) -> Result<CocoSummary, EvalError> {
    let mut ids = images.to_vec();
    ids.sort_unstable();
    ids.dedup();
    check(&ids, ground_truth, detections)?;

    let mut truths: Vec<&GroundTruth> = ground_truth.iter().collect();
    truths.sort_by_key(|g| (g.category_id, g.image_id));
    let mut found: Vec<&Detection> = detections.iter().collect();
    // Scores are finite here, so `partial_cmp` orders them, and -0.0 stays equal to 0.0.
    found.sort_by(|a, b| {
        (a.category_id, a.image_id)
            .cmp(&(b.category_id, b.image_id))
            .then(
                b.score
                    .partial_cmp(&a.score)
                    .unwrap_or(std::cmp::Ordering::Equal),
            )
    });

    let same = |a: &&GroundTruth, b: &&GroundTruth| a.category_id == b.category_id;
    let categories = truths.chunk_by(same).count();
    let mut tallies = Vec::with_capacity(categories);
    let mut rest = found.as_slice();
    for truths in truths.chunk_by(same) {
        let category_id = truths[0].category_id;
        let start = rest.partition_point(|d| d.category_id < category_id);
        let end = rest.partition_point(|d| d.category_id <= category_id);
        let outcomes = match_category(truths, &rest[start..end]);
        rest = &rest[end..];
        tallies.push(CategoryTally::new(category_id, truths, outcomes));
        progress(tallies.len(), categories);
    }
    Ok(precision::summarize(&tallies))
}

/// Matches the detections of one category image by image, in the order of image ids.
fn match_category(truths: &[&GroundTruth], found: &[&Detection]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(found.len());
    let mut truths = truths;
    for found in found.chunk_by(|a, b| a.image_id == b.image_id) {
        let image_id = found[0].image_id;
        let start = truths.partition_point(|g| g.image_id < image_id);
        let end = truths.partition_point(|g| g.image_id <= image_id);
        let kept = &found[..found.len().min(MAX_DETECTIONS)];
        match_image(&truths[start..end], kept, &mut outcomes);
        truths = &truths[end..];
    }
    outcomes
}

fn check(ids: &[u64], truths: &[GroundTruth], found: &[Detection]) -> Result<(), EvalError> {
    let record = |list, index, image_id: u64, bbox: [f64; 4]| {
        if bbox.iter().any(|v| !v.is_finite()) || bbox[2] < 0.0 || bbox[3] < 0.0 {
            return Err(EvalError::BadBox {
                list,
                index,
                image_id,
                bbox,
            });
        }
        match ids.binary_search(&image_id) {
            Ok(_) => Ok(()),
            Err(_) => Err(EvalError::UnknownImage {
                list,
                index,
                image_id,
            }),
        }
    };
    for (index, g) in truths.iter().enumerate() {
        record("ground truth", index, g.image_id, g.bbox)?;
        if !g.area.is_finite() || g.area < 0.0 {
            return Err(EvalError::BadArea {
                index,
                image_id: g.image_id,
                area: g.area,
            });
        }
    }
    for (index, d) in found.iter().enumerate() {
        record("detection", index, d.image_id, d.bbox)?;
        if !d.score.is_finite() {
            return Err(EvalError::BadScore {
                list: "detection",
                index,
                score: d.score,
            });
        }
    }
    Ok(())
}

/// COCO writes `iscrowd` as 0 or 1; `true` and `false` are read too.
mod crowd_flag {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Number(u64),
        Bool(bool),
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(super) fn serialize<S: Serializer>(crowd: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(u8::from(*crowd))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        match Flag::deserialize(from)? {
            Flag::Number(0) | Flag::Bool(false) => Ok(false),
            Flag::Number(1) | Flag::Bool(true) => Ok(true),
            Flag::Number(n) => Err(D::Error::custom(format!("iscrowd is {n}: expected 0 or 1"))),
        }
    }
}
