//! The image ids of result files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
    let source = data.validation.as_ref();
    let count = config.eval.examples.min(source.len());
    let (mut files, mut equal) = (vec![], None);
    let mut set = |file: String, image_ids: Vec<&mut u64>, samples: &dyn Fn(usize) -> bool| {
        if image_ids.is_empty() {
            return;
        }
        match ids_by_key(source, (0..count).filter(|index| samples(*index))) {
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
    let captions = captions.map(|caption| &mut caption.image_id).collect();
    set("captions.json".into(), captions, &|_| true);
    for (space, results) in predictions.detections.iter_mut().enumerate() {
        let detections = results.detections.iter_mut();
        let detections = detections
            .map(|detection| &mut detection.image_id)
            .collect();
        let file = format!("the detections of {}", results.label_space);
        set(file, detections, &|index| {
            source.label_space(index) == space
        });
    }
    let id = equal?;
    Some(format!(
        "images of several data sets have the id {id}, so the image ids in {} are not those of their data sets; evaluate each data set alone, with --data",
        files.join(" and ")
    ))
}

/// The ids of the images of these samples in their own data sets, by their keys: the first one of an image that has several.
///
/// # Errors
/// An id that two images have.
fn ids_by_key(
    source: &dyn Source,
    indices: impl Iterator<Item = usize>,
) -> Result<HashMap<u64, u64>, u64> {
    let (mut ids, mut keys) = (HashMap::new(), HashMap::new());
    for index in indices {
        // An unreadable sample has no prediction.
        if source.prepare(index).is_err() {
            continue;
        }
        let (key, id) = (source.key(index), source.image_id(index));
        let Entry::Vacant(entry) = ids.entry(key) else {
            continue;
        };
        entry.insert(id);
        if keys.insert(id, key).is_some() {
            return Err(id);
        }
    }
    Ok(ids)
}
