//! Objects, detections and metrics, with the field names of COCO files.

use serde::{Deserialize, Serialize};

/// One annotated object, with the field names of COCO's `instances_*.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Instance")]
pub struct GroundTruth {
    /// Its image.
    pub image_id: u64,
    /// Its category.
    pub category_id: u32,
    /// Absolute `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Area in px² for the size ranges: in COCO that of the segmentation. In JSON it may be absent or null: then it is
    /// that of the box.
    pub area: f64,
    /// Whether it is a crowd region. In JSON `iscrowd`, written as 0 or 1; may also be `true` or `false`, and absent or
    /// null if it is not.
    #[serde(rename = "iscrowd", serialize_with = "crowd_flag::serialize")]
    pub crowd: bool,
}

/// [`GroundTruth`] as it is in files.
#[derive(Deserialize)]
struct Instance {
    image_id: u64,
    category_id: u32,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default, deserialize_with = "crowd_flag::deserialize")]
    iscrowd: bool,
}

impl From<Instance> for GroundTruth {
    fn from(instance: Instance) -> Self {
        let Instance {
            image_id,
            category_id,
            bbox,
            area,
            iscrowd,
        } = instance;
        Self {
            image_id,
            category_id,
            bbox,
            area: area.unwrap_or(bbox[2] * bbox[3]),
            crowd: iscrowd,
        }
    }
}

/// One detected object, with the field names of COCO's result files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Its image.
    pub image_id: u64,
    /// Predicted category.
    pub category_id: u32,
    /// Absolute `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Confidence; any finite number, higher is more confident.
    pub score: f64,
}

/// The twelve COCO metrics, each in 0..=1, and AP by category.
///
/// `None` if there is no object in the size range (the official tool prints -1).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoSummary {
    /// AP over IoU 0.50:0.95.
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    pub ap75: Option<f64>,
    /// AP of objects up to 32² px.
    pub ap_small: Option<f64>,
    /// AP of objects from 32² to 96² px.
    pub ap_medium: Option<f64>,
    /// AP of objects from 96² px.
    pub ap_large: Option<f64>,
    /// Recall with 1 detection per image and category.
    pub ar1: Option<f64>,
    /// Recall with 10 detections per image and category.
    pub ar10: Option<f64>,
    /// Recall with 100 detections per image and category.
    pub ar100: Option<f64>,
    /// Recall of objects up to 32² px, 100 detections.
    pub ar_small: Option<f64>,
    /// Recall of objects from 32² to 96² px, 100 detections.
    pub ar_medium: Option<f64>,
    /// Recall of objects from 96² px, 100 detections.
    pub ar_large: Option<f64>,
    /// Every category with a ground-truth object, by ascending id.
    pub categories: Vec<CategoryAp>,
}

impl CocoSummary {
    /// The twelve metrics in the order of the official tool: AP, AP50, AP75, AP by size, recall by number of
    /// detections, recall by size.
    #[must_use]
    pub fn stats(&self) -> [Option<f64>; 12] {
        [
            self.ap,
            self.ap50,
            self.ap75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar1,
            self.ar10,
            self.ar100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
    }
}

/// AP of one category, over all sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryAp {
    /// The category.
    pub category_id: u32,
    /// AP over IoU 0.50:0.95; `None` if all its objects are crowd regions.
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    pub ap75: Option<f64>,
}

/// COCO writes `iscrowd` as 0 or 1. Other tools write a bool, a float, or null.
mod crowd_flag {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "invalid iscrowd: expected 0 or 1")]
    enum Flag {
        Number(f64),
        Bool(bool),
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(super) fn serialize<S: Serializer>(crowd: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(u8::from(*crowd))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<bool, D::Error> {
        match Option::<Flag>::deserialize(deserializer)? {
            None => Ok(false),
            Some(Flag::Bool(crowd)) => Ok(crowd),
            Some(Flag::Number(0.0)) => Ok(false),
            Some(Flag::Number(1.0)) => Ok(true),
            Some(Flag::Number(n)) => {
                Err(D::Error::custom(format!("iscrowd is {n}: expected 0 or 1")))
            }
        }
    }
}
