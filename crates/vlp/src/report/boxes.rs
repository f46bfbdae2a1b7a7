//! Boxes of objects as drawn on pages.

use vlp_data::{LabelSpace, Object};
use vlp_draw::{BoxKind, DrawnBox};

/// The name at `index`, or the index itself.
pub(crate) fn name_or_index(names: &[String], index: usize) -> String {
    names
        .get(index)
        .cloned()
        .unwrap_or_else(|| index.to_string())
}

/// Indices of the `count` greatest values, greatest first; of equal ones the first.
pub(crate) fn top_indices(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}

/// The box of an annotated object.
pub(super) fn annotated_box(object: &Object, labels: &LabelSpace) -> DrawnBox {
    let attributes = object.attributes.iter();
    let attributes = attributes.map(|&attribute| name_or_index(&labels.attributes, attribute));
    DrawnBox {
        x0: object.bbox[0],
        y0: object.bbox[1],
        x1: object.bbox[2],
        y1: object.bbox[3],
        label: name_or_index(&labels.classes, object.class),
        score: None,
        kind: BoxKind::Truth,
        detail: attributes.collect::<Vec<_>>().join(", "),
    }
}
