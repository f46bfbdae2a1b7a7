//! Intersection over union of `[x, y, width, height]` boxes.

/// IoU in 0..=1; for a crowd region the fraction of the detection inside the region. 0 for boxes that only touch.
pub(super) fn iou(detection: [f64; 4], truth: [f64; 4], crowd: bool) -> f64 {
    let side = |axis: usize| {
        let end = (detection[axis] + detection[axis + 2]).min(truth[axis] + truth[axis + 2]);
        end - detection[axis].max(truth[axis])
    };
    let (width, height) = (side(0), side(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let area = detection[2] * detection[3];
    let intersection = width * height;
    let denominator = if crowd {
        area
    } else {
        area + truth[2] * truth[3] - intersection
    };
    intersection / denominator
}

#[cfg(test)]
mod tests {
    use super::iou;

    #[test]
    fn iou_of_overlapping_touching_and_crowd_boxes() {
        let (a, b) = ([0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 2.0, 2.0]);
        assert_eq!(iou(a, b, false), 2.0 / 6.0);
        assert_eq!(iou(a, b, true), 0.5);
        assert_eq!(iou(a, [2.0, 0.0, 1.0, 1.0], false), 0.0);
        assert_eq!(iou([0.0; 4], [0.0; 4], true), 0.0);
    }
}
