//! Constants of the COCO evaluation.

/// Number of IoU thresholds.
pub(super) const THRESHOLDS: usize = 10;
/// Size ranges: all, small (< 32² px), medium, large (> 96² px). Both ends are included.
pub(super) const AREAS: [[f64; 2]; 4] =
    [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
/// Maximum number of detections of one image and category.
pub(super) const MAX_DETECTIONS: usize = 100;

/// IoU threshold `index`: ten equal steps from 0.5 to 0.95, rounded as in the official tool.
pub(super) fn threshold(index: usize) -> f64 {
    if index + 1 == THRESHOLDS {
        return 0.95;
    }
    let step = (0.95 - 0.5) / (THRESHOLDS - 1) as f64;
    index as f64 * step + 0.5
}

/// Whether an area is outside a size range.
pub(super) fn is_outside(area: f64, range: [f64; 2]) -> bool {
    area < range[0] || area > range[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_thresholds_are_exact() {
        assert_eq!(threshold(0), 0.5);
        assert_eq!(threshold(5), 0.75);
        assert_eq!(threshold(9), 0.95);
    }
}
