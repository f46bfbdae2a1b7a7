//! Checks of the input, and matching of all categories and images.

use std::cmp::Ordering;

use super::matching::{MatchedDetection, match_image};
use super::precision::{CategoryCurves, summarize};
use super::protocol::MAX_DETECTIONS;
use super::types::{CocoSummary, Detection, GroundTruth};
use crate::EvalError;

/// Scores `detections` against `ground_truth` over the given images.
///
/// Detections in images without objects are false positives. As in the official tool, detections of a
/// category without ground truth are not scored. Repeated ids in `images` have no effect.
///
/// # Errors
/// [`EvalError`] naming the record: a box, area or score that is not finite, a negative width,
/// height or area, or an image that is not in `images`.
pub fn evaluate(
    images: &[u64],
    ground_truth: &[GroundTruth],
    detections: &[Detection],
) -> Result<CocoSummary, EvalError> {
    let mut image_ids = images.to_vec();
    image_ids.sort_unstable();
    check(&image_ids, ground_truth, detections)?;

    let mut truths: Vec<&GroundTruth> = ground_truth.iter().collect();
    truths.sort_by_key(|g| (g.category_id, g.image_id));
    let mut detections: Vec<&Detection> = detections.iter().collect();
    // Scores are finite, so `partial_cmp` orders them, and -0.0 is equal to 0.0.
    detections.sort_by(|a, b| {
        let by_id = (a.category_id, a.image_id).cmp(&(b.category_id, b.image_id));
        by_id.then(b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal))
    });

    let same_category = |a: &&GroundTruth, b: &&GroundTruth| a.category_id == b.category_id;
    let mut categories = vec![];
    let mut rest = detections.as_slice();
    for truths in truths.chunk_by(same_category) {
        let category_id = truths[0].category_id;
        let start = rest.partition_point(|d| d.category_id < category_id);
        let end = rest.partition_point(|d| d.category_id <= category_id);
        let matched = match_category(truths, &rest[start..end]);
        rest = &rest[end..];
        categories.push(CategoryCurves::new(category_id, truths, matched));
    }
    Ok(summarize(&categories))
}

/// Matches the detections of one category image by image, in the order of image ids.
fn match_category(truths: &[&GroundTruth], detections: &[&Detection]) -> Vec<MatchedDetection> {
    let mut matched = Vec::with_capacity(detections.len());
    let mut truths = truths;
    for detections in detections.chunk_by(|a, b| a.image_id == b.image_id) {
        let image_id = detections[0].image_id;
        let start = truths.partition_point(|g| g.image_id < image_id);
        let end = truths.partition_point(|g| g.image_id <= image_id);
        let best = &detections[..detections.len().min(MAX_DETECTIONS)];
        match_image(&truths[start..end], best, &mut matched);
        truths = &truths[end..];
    }
    matched
}

/// Checks all records; `image_ids` is sorted.
fn check(
    image_ids: &[u64],
    truths: &[GroundTruth],
    detections: &[Detection],
) -> Result<(), EvalError> {
    let check_image = |list, index, image_id: u64| match image_ids.binary_search(&image_id) {
        Ok(_) => Ok(()),
        Err(_) => Err(EvalError::UnknownImage {
            list,
            index,
            image_id,
        }),
    };
    for (index, truth) in truths.iter().enumerate() {
        check_ground_truth(index, truth)?;
        check_image("ground truth", index, truth.image_id)?;
    }
    for (index, d) in detections.iter().enumerate() {
        check_box("detection", index, d.image_id, d.bbox)?;
        check_image("detection", index, d.image_id)?;
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

/// Checks box and area of an object.
pub(crate) fn check_ground_truth(index: usize, truth: &GroundTruth) -> Result<(), EvalError> {
    let &GroundTruth { image_id, area, .. } = truth;
    check_box("ground truth", index, image_id, truth.bbox)?;
    if !area.is_finite() || area < 0.0 {
        return Err(EvalError::BadArea {
            index,
            image_id,
            area,
        });
    }
    Ok(())
}

fn check_box(
    list: &'static str,
    index: usize,
    image_id: u64,
    bbox: [f64; 4],
) -> Result<(), EvalError> {
    if bbox.iter().any(|v| !v.is_finite()) || bbox[2] < 0.0 || bbox[3] < 0.0 {
        return Err(EvalError::BadBox {
            list,
            index,
            image_id,
            bbox,
        });
    }
    Ok(())
}
