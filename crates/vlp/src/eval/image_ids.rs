//! The image ids of result files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use vlp_objectives::Predictions;

use crate::config::RunConfig;
use crate::data::Datasets;

/// Replaces the keys of images, by which metrics tell images of a mixture apart, by the ids in their own data sets. If those
/// of two images are equal, the keys stay, and a message says so.
pub(super) fn set_image_ids(
    predictions: &mut Predictions,
    config: &RunConfig,
    data: &Datasets,
) -> Option<String> {
    let (captions, detections) = (&mut predictions.captions, &mut predictions.detections);
    if captions.is_empty() && detections.is_empty() {
        return None;
    }
    let source = &data.validation;
    let (mut ids, mut keys) = (HashMap::new(), HashMap::new());
    for index in 0..config.eval.examples.min(source.len()) {
        // An unreadable sample has no prediction.
        if source.prepare(index).is_err() {
            continue;
        }
        let (key, id) = (source.key(index), source.image_id(index));
        match keys.entry(id) {
            Entry::Occupied(other) if *other.get() != key => {
                return Some(format!(
                    "images of several data sets have the id {id}, so the image ids in captions.json and detections.json are not those of their data sets; evaluate each data set alone, with --data"
                ));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(entry) => {
                entry.insert(key);
                ids.insert(key, id);
            }
        }
    }
    let image_ids = (captions.iter_mut().map(|caption| &mut caption.image_id)).chain(
        detections
            .iter_mut()
            .map(|detection| &mut detection.image_id),
    );
    for image_id in image_ids {
        if let Some(id) = ids.get(image_id) {
            *image_id = *id;
        }
    }
    None
}
