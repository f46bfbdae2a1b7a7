//! The image ids of result files.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use vlp_data::Source;
use vlp_objectives::Predictions;

use crate::config::RunConfig;
use crate::data::Datasets;

/// Replaces the keys of images, by which metrics tell images of a mixture apart, by the ids in their own data sets. If those
/// of two images in a result file are equal, the keys stay, and a message says so.
pub(super) fn set_image_ids(
    predictions: &mut Predictions,
    config: &RunConfig,
    data: &Datasets,
) -> Option<String> {
    let results = &predictions.detections;
    if predictions.captions.is_empty() && results.iter().all(|r| r.detections.is_empty()) {
        return None;
    }
    let images = evaluated_images(data.validation.as_ref(), config.eval.examples);
    let (mut files, mut equal) = (vec![], None);
    let mut set = |file: String, image_ids: Vec<&mut u64>, images: &[&EvaluatedImage]| {
        if image_ids.is_empty() {
            return;
        }
        match ids_by_key(images) {
            Ok(ids) => {
                for image_id in image_ids {
                    *image_id = ids.get(image_id).copied().unwrap_or(*image_id);
                }
            }
            Err(id) => {
                files.push(file);
                equal.get_or_insert(id);
            }
        }
    };
    let captions = predictions.captions.iter_mut();
    let image_ids = captions.map(|caption| &mut caption.image_id).collect();
    set(
        "captions.json".into(),
        image_ids,
        &images.iter().collect::<Vec<_>>(),
    );
    for (space, results) in predictions.detections.iter_mut().enumerate() {
        let detections = results.detections.iter_mut();
        let image_ids = detections.map(|detection| &mut detection.image_id);
        let file = format!("the detections of {}", results.label_space);
        let in_space = images.iter().filter(|image| image.label_space == space);
        set(file, image_ids.collect(), &in_space.collect::<Vec<_>>());
    }
    let id = equal?;
    Some(format!(
        "images of several data sets have the id {id}, so the image ids in {} are not those of their data sets; evaluate each data set alone, with --data",
        files.join(" and ")
    ))
}

/// The image of a validation sample.
struct EvaluatedImage {
    label_space: usize,
    key: u64,
    /// The id in its own data set.
    id: u64,
}

/// The images of the first `count` samples. An unreadable sample has no prediction.
fn evaluated_images(source: &dyn Source, count: usize) -> Vec<EvaluatedImage> {
    let indices = 0..count.min(source.len());
    let readable = indices.filter(|&index| source.prepare(index).is_ok());
    let image = |index| EvaluatedImage {
        label_space: source.label_space(index),
        key: source.key(index),
        id: source.image_id(index),
    };
    readable.map(image).collect()
}

/// The ids of images by their keys: the first one of an image that has several.
///
/// # Errors
/// An id that two images have.
fn ids_by_key(images: &[&EvaluatedImage]) -> Result<HashMap<u64, u64>, u64> {
    let (mut ids, mut used) = (HashMap::new(), HashSet::new());
    for image in images {
        let Entry::Vacant(entry) = ids.entry(image.key) else {
            continue;
        };
        entry.insert(image.id);
        if !used.insert(image.id) {
            return Err(image.id);
        }
    }
    Ok(ids)
}
