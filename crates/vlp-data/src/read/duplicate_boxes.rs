//! Objects that were annotated more than once.

use super::boxes::finite_sides;
use crate::AnnotatedObject;

/// Earlier objects of an image that an object is compared with at most, so that the time for a file is bounded by its length;
/// an image of Visual Genome has some 35 objects.
const MAX_COMPARED: usize = 1000;

/// Leaves out each object whose box has at least this intersection over union with that of an earlier one of the same class,
/// which gets its attributes. `objects` are those of one image, each with its index in the file.
pub(super) fn merge_duplicates(
    objects: Vec<(usize, AnnotatedObject)>,
    iou: f64,
) -> Vec<(usize, AnnotatedObject)> {
    let mut distinct: Vec<(usize, AnnotatedObject)> = Vec::with_capacity(objects.len());
    for (index, object) in objects {
        let is_same = |(_, earlier): &&mut (usize, AnnotatedObject)| {
            earlier.class == object.class
                && intersection_over_union(earlier.bbox, object.bbox) >= iou
        };
        match distinct.iter_mut().take(MAX_COMPARED).find(is_same) {
            Some((_, earlier)) => {
                for attribute in object.attributes {
                    if !earlier.attributes.contains(&attribute) {
                        earlier.attributes.push(attribute);
                    }
                }
            }
            None => distinct.push((index, object)),
        }
    }
    distinct
}

/// Of boxes `[x, y, width, height]`; NaN, which reaches no threshold, if one of them has no area or a number that is not finite.
fn intersection_over_union(a: [f64; 4], b: [f64; 4]) -> f64 {
    let areas = [a, b].map(|bbox| bbox[2].max(0.0) * bbox[3].max(0.0));
    let (Some(a), Some(b)) = (finite_sides(a), finite_sides(b)) else {
        return f64::NAN;
    };
    let overlap = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
    let intersection = overlap(0) * overlap(1);
    match areas.iter().all(|area| *area > 0.0) {
        true => intersection / (areas[0] + areas[1] - intersection),
        false => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(class: usize, bbox: [f64; 4], attributes: &[usize]) -> (usize, AnnotatedObject) {
        let object = AnnotatedObject {
            class,
            bbox,
            attributes: attributes.to_vec(),
            crowd: false,
            area: bbox[2] * bbox[3],
        };
        (0, object)
    }

    #[test]
    fn objects_of_a_class_with_nearly_the_same_box_are_one() {
        let objects = vec![
            object(0, [0.0, 0.0, 10.0, 10.0], &[1]),
            // Intersection over union 0.9.
            object(0, [0.0, 0.0, 10.0, 9.0], &[2, 1]),
            // 0.89.
            object(0, [0.0, 0.0, 10.0, 8.9], &[3]),
            object(1, [0.0, 0.0, 10.0, 10.0], &[4]),
            object(0, [20.0, 0.0, 10.0, 10.0], &[5]),
            object(0, [0.5, 0.0, 10.0, 10.0], &[6]),
        ];
        let merged = merge_duplicates(objects, 0.9);
        let merged: Vec<_> = merged
            .into_iter()
            .map(|(_, object)| (object.class, object.bbox[3], object.attributes))
            .collect();
        assert_eq!(
            merged,
            [
                (0, 10.0, vec![1, 2, 6]),
                (0, 8.9, vec![3]),
                (1, 10.0, vec![4]),
                (0, 10.0, vec![5]),
            ]
        );
    }

    #[test]
    fn boxes_without_area_are_never_the_same() {
        for bbox in [
            [0.0, 0.0, 0.0, 5.0],
            [f64::NAN, 0.0, 5.0, 5.0],
            [0.0, 0.0, -5.0, -5.0],
            [0.0, 0.0, f64::INFINITY, 5.0],
        ] {
            let objects = vec![object(0, bbox, &[]), object(0, bbox, &[])];
            assert_eq!(merge_duplicates(objects, 0.0).len(), 2, "{bbox:?}");
        }
    }
}
