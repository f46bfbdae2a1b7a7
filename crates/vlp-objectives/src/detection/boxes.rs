//! Box arithmetic on tensors and on plain arrays (DETR, `util/box_ops.py`).

use burn::prelude::*;

/// Center and size to corners, `[rows, 4]`.
pub fn cxcywh_to_xyxy(boxes: Tensor<2>) -> Tensor<2> {
    let rows = boxes.dims()[0];
    let center = boxes.clone().slice([0..rows, 0..2]);
    let half = boxes.slice([0..rows, 2..4]).mul_scalar(0.5);
    Tensor::cat(vec![center.clone() - half.clone(), center + half], 1)
}

/// Generalized IoU of row `i` of `a` with row `i` of `b` (corners), `[rows]`, in `-1..=1`.
pub fn giou(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let rows = a.dims()[0];
    let low = |t: &Tensor<2>| t.clone().slice([0..rows, 0..2]);
    let high = |t: &Tensor<2>| t.clone().slice([0..rows, 2..4]);
    let area = |size: Tensor<2>| -> Tensor<1> { size.prod_dim(1).squeeze_dim(1) };
    let inter = area((high(&a).min_pair(high(&b)) - low(&a).max_pair(low(&b))).clamp_min(0.0));
    let hull = area((high(&a).max_pair(high(&b)) - low(&a).min_pair(low(&b))).clamp_min(0.0));
    let union = area(high(&a) - low(&a)) + area(high(&b) - low(&b)) - inter.clone();
    inter / union.clone() - (hull.clone() - union) / hull
}

/// Center and size to corners.
pub fn corners([cx, cy, w, h]: [f32; 4]) -> [f32; 4] {
    [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0]
}

/// IoU and generalized IoU of two boxes given by corners.
pub fn overlap(a: [f32; 4], b: [f32; 4]) -> (f32, f32) {
    let area = |t: [f32; 4]| (t[2] - t[0]) * (t[3] - t[1]);
    let inter =
        (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let hull = (a[2].max(b[2]) - a[0].min(b[0])) * (a[3].max(b[3]) - a[1].min(b[1]));
    let union = area(a) + area(b) - inter;
    let iou = inter / union;
    (iou, iou - (hull - union) / hull)
}
