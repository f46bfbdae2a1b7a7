//! Greedy assignment of the detections of one image and category to its objects.

use super::iou::iou;
use super::{AREAS, Detection, GroundTruth, THRESHOLDS};

/// What became of one detection. Bit `area * 10 + threshold` of the masks speaks of one size
/// range and one IoU threshold.
pub(super) struct Outcome {
    pub(super) score: f64,
    /// Place among the detections of its image and category, best first.
    pub(super) rank: usize,
    /// Found an object.
    pub(super) matched: u64,
    /// Counts neither for nor against: it found an ignored object, or nothing and its own area is
    /// out of range.
    pub(super) ignored: u64,
}

/// IoU threshold `index`: ten even steps from 0.5 to 0.95, rounded as the official tool's are.
fn threshold(index: usize) -> f64 {
    if index + 1 == THRESHOLDS {
        return 0.95;
    }
    let step = (0.95 - 0.5) / (THRESHOLDS - 1) as f64;
    index as f64 * step + 0.5
}

pub(super) fn outside(area: f64, range: [f64; 2]) -> bool {
    area < range[0] || area > range[1]
}

/// Appends one outcome per detection; `found` is sorted by falling score.
pub(super) fn match_image(
    truths: &[&GroundTruth],
    found: &[&Detection],
    outcomes: &mut Vec<Outcome>,
) {
    let base = outcomes.len();
    let every = (1_u64 << THRESHOLDS) - 1;
    for (rank, d) in found.iter().enumerate() {
        let area = d.bbox[2] * d.bbox[3];
        let mut ignored = 0;
        for (a, &range) in AREAS.iter().enumerate() {
            if outside(area, range) {
                ignored |= every << (a * THRESHOLDS);
            }
        }
        outcomes.push(Outcome {
            score: d.score,
            rank,
            matched: 0,
            ignored,
        });
    }
    if truths.is_empty() {
        return;
    }

    let overlaps: Vec<Vec<f64>> = found
        .iter()
        .map(|d| {
            truths
                .iter()
                .map(|g| iou(d.bbox, g.bbox, g.crowd))
                .collect()
        })
        .collect();
    for (a, &range) in AREAS.iter().enumerate() {
        let ignore: Vec<bool> = truths
            .iter()
            .map(|g| g.crowd || outside(g.area, range))
            .collect();
        let mut order: Vec<usize> = (0..truths.len()).collect();
        order.sort_by_key(|&g| ignore[g]);
        for t in 0..THRESHOLDS {
            let bit = 1_u64 << (a * THRESHOLDS + t);
            let mut taken = vec![false; truths.len()];
            for (overlap, outcome) in overlaps.iter().zip(&mut outcomes[base..]) {
                let free = |&g: &usize| !taken[g] || truths[g].crowd;
                let best = best_match(&order, overlap, &ignore, threshold(t), free);
                if let Some(g) = best {
                    taken[g] = true;
                    outcome.matched |= bit;
                    outcome.ignored = outcome.ignored & !bit | if ignore[g] { bit } else { 0 };
                }
            }
        }
    }
}

/// The free object with the highest IoU at or over the threshold, the last of equals. An ignored
/// object, which `order` lists last, is taken only where no proper one fits.
fn best_match(
    order: &[usize],
    overlap: &[f64],
    ignore: &[bool],
    threshold: f64,
    free: impl Fn(&usize) -> bool,
) -> Option<usize> {
    let mut best = None;
    let mut least = threshold;
    for &g in order.iter().filter(|g| free(g)) {
        if ignore[g] && best.is_some_and(|b: usize| !ignore[b]) {
            break;
        }
        if overlap[g] >= least {
            least = overlap[g];
            best = Some(g);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_hold_the_reported_ones() {
        assert_eq!(threshold(0), 0.5);
        assert_eq!(threshold(5), 0.75);
        assert_eq!(threshold(9), 0.95);
    }
}
