//! COCO box average precision, computed as by the official COCO tool.
//!
//! Boxes are absolute `[x, y, width, height]` in pixels. Precision is interpolated at 101 recalls
//! and averaged over the ten IoU thresholds 0.50, 0.55, .., 0.95, with at most 100 detections per
//! image and category. Crowd regions and objects outside the size range are ignored: they need not be detected, and
//! detections that match them are not false positives. Equal scores are in order of image ids, then of the input.

mod collection;
mod evaluate;
mod iou;
mod matching;
mod precision;
mod protocol;
mod types;

pub use collection::DetectionCollection;
pub(crate) use evaluate::check_ground_truth;
pub use evaluate::evaluate;
pub use types::{CategoryAp, CocoSummary, Detection, GroundTruth};
