//! Greedy matching of the detections of one image and category with its objects.

use super::iou::iou;
use super::protocol::{AREAS, THRESHOLDS, is_outside, threshold};
use super::types::{Detection, GroundTruth};

/// A detection after matching. Bit `area * 10 + threshold` of the masks is for one size
/// range and one IoU threshold.
pub(super) struct MatchedDetection {
    pub(super) score: f64,
    /// Rank among the detections of its image and category, best first.
    pub(super) rank: usize,
    /// Whether it matches an object.
    pub(super) matched: u64,
    /// Whether it is neither a true nor a false positive: it matches an ignored object, or none and its own area is
    /// outside the size range.
    pub(super) ignored: u64,
}

/// Matches `detections`, sorted by descending score, and appends them to `matched`.
pub(super) fn match_image(
    truths: &[&GroundTruth],
    detections: &[&Detection],
    matched: &mut Vec<MatchedDetection>,
) {
    let start = matched.len();
    let all_thresholds = (1_u64 << THRESHOLDS) - 1;
    for (rank, d) in detections.iter().enumerate() {
        let area = d.bbox[2] * d.bbox[3];
        let mut ignored = 0;
        for (a, &range) in AREAS.iter().enumerate() {
            if is_outside(area, range) {
                ignored |= all_thresholds << (a * THRESHOLDS);
            }
        }
        matched.push(MatchedDetection {
            score: d.score,
            rank,
            matched: 0,
            ignored,
        });
    }
    if truths.is_empty() {
        return;
    }

    let ious: Vec<Vec<f64>> = detections
        .iter()
        .map(|d| {
            truths
                .iter()
                .map(|g| iou(d.bbox, g.bbox, g.crowd))
                .collect()
        })
        .collect();
    for (a, &range) in AREAS.iter().enumerate() {
        let is_ignored: Vec<bool> = truths
            .iter()
            .map(|g| g.crowd || is_outside(g.area, range))
            .collect();
        let mut order: Vec<usize> = (0..truths.len()).collect();
        order.sort_by_key(|&g| is_ignored[g]);
        for t in 0..THRESHOLDS {
            let bit = 1_u64 << (a * THRESHOLDS + t);
            let mut is_matched = vec![false; truths.len()];
            for (ious, detection) in ious.iter().zip(&mut matched[start..]) {
                let is_free = |&g: &usize| !is_matched[g] || truths[g].crowd;
                let best = best_match(&order, ious, &is_ignored, threshold(t), is_free);
                if let Some(g) = best {
                    is_matched[g] = true;
                    detection.matched |= bit;
                    detection.ignored =
                        detection.ignored & !bit | if is_ignored[g] { bit } else { 0 };
                }
            }
        }
    }
}

/// The free object with the highest IoU that is at least the threshold, among equals the last one. Ignored
/// objects, which are last in `order`, match only if no other object does.
fn best_match(
    order: &[usize],
    ious: &[f64],
    is_ignored: &[bool],
    threshold: f64,
    is_free: impl Fn(&usize) -> bool,
) -> Option<usize> {
    let mut best = None;
    let mut min_iou = threshold;
    for &g in order.iter().filter(|g| is_free(g)) {
        if is_ignored[g] && best.is_some_and(|b: usize| !is_ignored[b]) {
            break;
        }
        if ious[g] >= min_iou {
            min_iou = ious[g];
            best = Some(g);
        }
    }
    best
}
