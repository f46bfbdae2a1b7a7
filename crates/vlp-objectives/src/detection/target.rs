//! What a picture holds, as the detection objective sees it.

use vlp_data::{Example, LabelSpace};

/// One object of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetObject {
    /// Index into the vocabulary's classes.
    pub class: usize,
    /// Centre and size relative to the unpadded picture, in `0..=1`.
    pub bbox: [f32; 4],
    /// Indices into the vocabulary's attributes; empty where none is annotated.
    pub attributes: Vec<usize>,
}

/// Objects of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionTarget {
    /// Index of the class vocabulary; `None` where boxes are not annotated: no loss.
    pub vocabulary: Option<usize>,
    /// The objects, at most as many as there are queries.
    pub objects: Vec<TargetObject>,
    /// Objects left out because there are more than queries.
    pub dropped: usize,
    /// Identity of the picture, for held-out scores.
    pub key: u64,
    /// Width and height of the original picture in pixels, for held-out scores.
    pub size: (usize, usize),
}

impl DetectionTarget {
    /// Objects of an example: crowds and boxes without area left out (DETR), the largest `queries` kept.
    pub fn of(
        example: &Example,
        vocabulary: Option<usize>,
        labels: &LabelSpace,
        queries: usize,
    ) -> Self {
        let (w, h) = (example.width.max(1) as f32, example.height.max(1) as f32);
        let mut objects: Vec<TargetObject> = example
            .objects
            .iter()
            .flatten()
            .filter(|o| !o.crowd && o.class < labels.classes.len())
            .map(|o| {
                let [x0, y0, x1, y1] = o.bbox;
                TargetObject {
                    class: o.class,
                    bbox: [
                        (x0 + x1) / 2.0 / w,
                        (y0 + y1) / 2.0 / h,
                        (x1 - x0) / w,
                        (y1 - y0) / h,
                    ],
                    attributes: o.attributes.clone(),
                }
            })
            .filter(|o| o.bbox[2] > 0.0 && o.bbox[3] > 0.0)
            .collect();
        let dropped = objects.len().saturating_sub(queries);
        if dropped > 0 {
            objects.sort_by(|a, b| (b.bbox[2] * b.bbox[3]).total_cmp(&(a.bbox[2] * a.bbox[3])));
            objects.truncate(queries);
        }
        let vocabulary = vocabulary.filter(|_| example.objects.is_some());
        Self {
            vocabulary,
            objects,
            dropped,
            key: example.key,
            size: example.original,
        }
    }
}
