//! Interpolated precision and recall from matched detections, and their means.

use super::matching::{Outcome, outside};
use super::{AREAS, CategoryAp, CocoSummary, GroundTruth, MAX_DETECTIONS, THRESHOLDS};

/// Recalls at which precision is read: 0, 0.01, .., 1.
const RECALLS: usize = 101;
/// Per-image limits of the three recalls reported over all sizes.
const LIMITS: [usize; 3] = [1, 10, MAX_DETECTIONS];

/// One category's figures for one size range, by IoU threshold.
struct Curve {
    precision: [f64; THRESHOLDS],
    /// By limit of [`LIMITS`].
    recall: [[f64; THRESHOLDS]; 3],
}

/// One category's figures; a size range without an object to find has none.
pub(super) struct CategoryTally {
    category_id: u32,
    curves: [Option<Curve>; 4],
}

impl CategoryTally {
    pub(super) fn new(
        category_id: u32,
        truths: &[&GroundTruth],
        mut outcomes: Vec<Outcome>,
    ) -> Self {
        // Stable, and over finite scores: equal ones keep the order of images.
        outcomes.sort_by(|a, b| {
            b.score
                .partial_cmp(&a.score)
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let curves = std::array::from_fn(|a| {
            let wanted = truths
                .iter()
                .filter(|g| !g.crowd && !outside(g.area, AREAS[a]))
                .count();
            (wanted > 0).then(|| Curve::new(&outcomes, a, wanted))
        });
        Self {
            category_id,
            curves,
        }
    }
}

impl Curve {
    fn new(outcomes: &[Outcome], area: usize, wanted: usize) -> Self {
        let mut curve = Self {
            precision: [0.0; THRESHOLDS],
            recall: [[0.0; THRESHOLDS]; 3],
        };
        for t in 0..THRESHOLDS {
            let bit = 1_u64 << (area * THRESHOLDS + t);
            let mut hits = [0_usize; 3];
            let mut seen = 0_usize;
            // Precision at each hit: interpolation never reads it elsewhere.
            let mut at_hit = Vec::new();
            for outcome in outcomes.iter().filter(|o| o.ignored & bit == 0) {
                seen += 1;
                if outcome.matched & bit != 0 {
                    for (hits, limit) in hits.iter_mut().zip(LIMITS) {
                        *hits += usize::from(outcome.rank < limit);
                    }
                    at_hit.push(hits[2] as f64 / (seen as f64 + f64::EPSILON));
                }
            }
            curve.precision[t] = interpolate(&mut at_hit, wanted);
            for (recall, hits) in curve.recall.iter_mut().zip(hits) {
                recall[t] = hits as f64 / wanted as f64;
            }
        }
        curve
    }
}

/// Mean over the 101 recalls of the best precision at that recall or beyond; `at_hit` holds the
/// precision at the first, second, .. hit.
fn interpolate(at_hit: &mut [f64], wanted: usize) -> f64 {
    for k in (1..at_hit.len()).rev() {
        at_hit[k - 1] = at_hit[k - 1].max(at_hit[k]);
    }
    let mut sum = 0.0;
    let mut k = 0;
    for r in 0..RECALLS {
        let recall = if r + 1 == RECALLS {
            1.0
        } else {
            r as f64 * 0.01
        };
        while k < at_hit.len() && ((k + 1) as f64 / wanted as f64) < recall {
            k += 1;
        }
        sum += at_hit.get(k).copied().unwrap_or(0.0);
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

pub(super) fn summarize(tallies: &[CategoryTally]) -> CocoSummary {
    let curves = |a: usize| tallies.iter().filter_map(move |t| t.curves[a].as_ref());
    let ap = |a: usize| mean(curves(a).flat_map(|c| c.precision));
    let ap_at = |t: usize| mean(curves(0).map(|c| c.precision[t]));
    let ar = |a: usize, limit: usize| mean(curves(a).flat_map(|c| c.recall[limit]));
    let categories = tallies
        .iter()
        .map(|tally| {
            let curve = tally.curves[0].as_ref();
            CategoryAp {
                category_id: tally.category_id,
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
        categories,
    }
}
