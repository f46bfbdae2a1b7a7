//! Targets of detection.

use vlp_data::{AnnotatedObject, Example, LabelSpace};
use vlp_eval::coco_ap::GroundTruth;

/// One object of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetObject {
    /// Index into the vocabulary's classes.
    pub class: usize,
    /// Center and size relative to the unpadded image, in `0..=1`.
    pub bbox: [f32; 4],
    /// Indices into the vocabulary's attributes; empty if none is annotated.
    pub attributes: Vec<usize>,
}

/// Objects of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionTarget {
    /// Index of the class vocabulary; `None` if boxes are not annotated: the image has no loss.
    pub vocabulary: Option<usize>,
    /// The objects, at most as many as there are queries.
    pub objects: Vec<TargetObject>,
    /// Number of objects that were dropped because there are more than queries.
    pub dropped: usize,
    /// All annotated objects of the original image with the indices of their classes, for validation metrics: including
    /// crowds and the objects that were dropped; boxes are not clipped to the image.
    pub ground_truth: Vec<GroundTruth>,
    /// The image's id, for validation metrics.
    pub image_id: u64,
    /// Width and height of the original image in pixels, for validation metrics.
    pub size: (usize, usize),
}

impl DetectionTarget {
    /// The objects of an example, without crowds and boxes without area (DETR); if there are more than `queries`, the
    /// largest.
    pub fn new(
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
            ground_truth: example
                .original_objects
                .iter()
                .flatten()
                .filter(|object| object.class < labels.classes.len())
                .map(|object| ground_truth(example.key, object))
                .collect(),
            image_id: example.key,
            size: example.original_size,
        }
    }
}

/// An object with the box, the area and the crowd flag of its annotation.
fn ground_truth(image_id: u64, object: &AnnotatedObject) -> GroundTruth {
    let (bbox, area) = (object.bbox, object.area);
    GroundTruth {
        image_id,
        category_id: object.class as u32,
        bbox,
        // An invalid area must not stop the evaluation of all images.
        area: match area.is_finite() && area >= 0.0 {
            true => area,
            false => (bbox[2] * bbox[3]).min(f64::MAX),
        },
        crowd: object.crowd,
    }
}
