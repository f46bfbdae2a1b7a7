//! Interpolated precision and recall from matched detections, and their means.

use std::cmp::Ordering;

use super::matching::MatchedDetection;
use super::protocol::{AREAS, MAX_DETECTIONS, THRESHOLDS, is_outside};
use super::types::{CategoryAp, CocoSummary, GroundTruth};

/// Number of recalls at which precision is interpolated: 0, 0.01, .., 1.
const RECALLS: usize = 101;
/// Numbers of detections per image of the three recalls over all sizes.
const LIMITS: [usize; 3] = [1, 10, MAX_DETECTIONS];

/// Precision and recall of one category and size range, by IoU threshold.
struct Curve {
    precision: [f64; THRESHOLDS],
    /// Indexed as [`LIMITS`].
    recall: [[f64; THRESHOLDS]; 3],
}

/// The curves of one category; `None` for a size range without objects.
pub(super) struct CategoryCurves {
    category_id: u32,
    curves: [Option<Curve>; 4],
}

impl CategoryCurves {
    pub(super) fn new(
        category_id: u32,
        truths: &[&GroundTruth],
        mut detections: Vec<MatchedDetection>,
    ) -> Self {
        // The sort is stable: detections with equal scores remain in order of images.
        detections.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
        let curves = std::array::from_fn(|a| {
            let objects = truths
                .iter()
                .filter(|g| !g.crowd && !is_outside(g.area, AREAS[a]))
                .count();
            (objects > 0).then(|| Curve::new(&detections, a, objects))
        });
        Self {
            category_id,
            curves,
        }
    }
}

impl Curve {
    /// `objects` is the number of objects in the size range.
    fn new(detections: &[MatchedDetection], area: usize, objects: usize) -> Self {
        let mut curve = Self {
            precision: [0.0; THRESHOLDS],
            recall: [[0.0; THRESHOLDS]; 3],
        };
        for t in 0..THRESHOLDS {
            let bit = 1_u64 << (area * THRESHOLDS + t);
            let mut hits = [0_usize; 3];
            let mut count = 0_usize;
            // Only the precisions at true positives are needed for interpolation.
            let mut precisions = Vec::new();
            for detection in detections.iter().filter(|d| d.ignored & bit == 0) {
                count += 1;
                if detection.matched & bit != 0 {
                    for (hits, limit) in hits.iter_mut().zip(LIMITS) {
                        *hits += usize::from(detection.rank < limit);
                    }
                    precisions.push(hits[2] as f64 / (count as f64 + f64::EPSILON));
                }
            }
            curve.precision[t] = interpolate(&mut precisions, objects);
            for (recall, hits) in curve.recall.iter_mut().zip(hits) {
                recall[t] = hits as f64 / objects as f64;
            }
        }
        curve
    }
}

/// Mean over the 101 recalls of the best precision at that recall or above; `precisions` are those at the first,
/// second, .. true positive.
fn interpolate(precisions: &mut [f64], objects: usize) -> f64 {
    for k in (1..precisions.len()).rev() {
        precisions[k - 1] = precisions[k - 1].max(precisions[k]);
    }
    let mut sum = 0.0;
    let mut k = 0;
    for r in 0..RECALLS {
        let recall = if r + 1 == RECALLS {
            1.0
        } else {
            r as f64 * 0.01
        };
        while k < precisions.len() && ((k + 1) as f64 / objects as f64) < recall {
            k += 1;
        }
        sum += precisions.get(k).copied().unwrap_or(0.0);
    }
    sum / RECALLS as f64
}

fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// The COCO metrics over all categories.
pub(super) fn summarize(categories: &[CategoryCurves]) -> CocoSummary {
    let curves = |a: usize| categories.iter().filter_map(move |c| c.curves[a].as_ref());
    let ap = |a: usize| mean(curves(a).flat_map(|c| c.precision));
    let ap_at = |t: usize| mean(curves(0).map(|c| c.precision[t]));
    let ar = |a: usize, limit: usize| mean(curves(a).flat_map(|c| c.recall[limit]));
    let category_aps = categories
        .iter()
        .map(|category| {
            let curve = category.curves[0].as_ref();
            CategoryAp {
                category_id: category.category_id,
                ap: curve.and_then(|c| mean(c.precision)),
                ap50: curve.map(|c| c.precision[0]),
                ap75: curve.map(|c| c.precision[5]),
            }
        })
        .collect();
    CocoSummary {
        ap: ap(0),
        ap50: ap_at(0),
        ap75: ap_at(5),
        ap_small: ap(1),
        ap_medium: ap(2),
        ap_large: ap(3),
        ar1: ar(0, 0),
        ar10: ar(0, 1),
        ar100: ar(0, 2),
        ar_small: ar(1, 2),
        ar_medium: ar(2, 2),
        ar_large: ar(3, 2),
        categories: category_aps,
    }
}
