use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};

use crate::DataError;

/// `captions_*.json`. Other fields are not needed; a missing one is `None`, so that one bad record is left out alone.
#[derive(Deserialize)]
pub(crate) struct CaptionFile {
    pub(crate) images: Vec<Image>,
    pub(crate) annotations: Vec<Caption>,
}

#[derive(Deserialize)]
pub(crate) struct Image {
    pub(crate) id: Option<u64>,
    pub(crate) file_name: Option<String>,
    pub(crate) width: Option<usize>,
    pub(crate) height: Option<usize>,
}

#[derive(Deserialize)]
pub(crate) struct Caption {
    pub(crate) id: Option<u64>,
    pub(crate) image_id: Option<u64>,
    pub(crate) caption: Option<String>,
}

/// `instances_*.json`.
#[derive(Deserialize)]
pub(crate) struct InstanceFile {
    #[serde(default)]
    pub(crate) images: Vec<Image>,
    pub(crate) annotations: Vec<Instance>,
    pub(crate) categories: Vec<Category>,
    /// Not COCO's own: names of attributes, for data that have them.
    #[serde(default)]
    pub(crate) attributes: Vec<Category>,
}

#[derive(Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: Option<u64>,
    pub(crate) image_id: Option<u64>,
    pub(crate) category_id: Option<u64>,
    /// x, y, width, height in pixels.
    pub(crate) bbox: Option<Vec<f64>>,
    pub(crate) area: Option<f64>,
    #[serde(default)]
    pub(crate) iscrowd: u8,
    #[serde(default)]
    pub(crate) attribute_ids: Vec<u64>,
}

#[derive(Deserialize)]
pub(crate) struct Category {
    pub(crate) id: u64,
    pub(crate) name: String,
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io(path))?;
    serde_json::from_slice(&bytes).map_err(|error| DataError::Format {
        path: path.into(),
        reason: error.to_string(),
    })
}
