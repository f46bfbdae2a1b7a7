//! What is learned from: the source, others mixed in, test images kept out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vlp_data::{HeldOut, Mix, Part, Source, Split};

use super::{Opened, open};
use crate::config::{DataConfig, SourceKind};
use crate::error::VlpError;

/// Opens `data.source` with everything of `data.mix`, without the images that `data.karpathy` tests on.
pub(crate) fn training(data: &DataConfig) -> Result<Opened, VlpError> {
    let mut opened = own(data, "data.source", &data.source)?;
    if data.mix.is_empty() {
        return Ok(opened);
    }
    let mut parts = vec![Part {
        source: Arc::clone(&opened.source),
        weight: 1.0,
        images: images(&data.source),
        boxes: true,
    }];
    for (number, wanted) in data.mix.iter().enumerate() {
        let key = format!("data.mix[{number}].source");
        let further = own(data, &key, &wanted.source)?;
        opened.notes.extend(further.notes);
        opened.consensus.extend(further.consensus);
        parts.push(Part {
            source: further.source,
            weight: wanted.weight,
            images: images(&wanted.source),
            boxes: wanted.boxes,
        });
    }
    let wrong = |e| VlpError::Config(format!("data.mix: {e}"));
    opened.source = Arc::new(Mix::new(parts, "mixture").map_err(wrong)?);
    opened.report = None;
    Ok(opened)
}

fn own(data: &DataConfig, key: &str, spec: &str) -> Result<Opened, VlpError> {
    let mut opened = open(key, spec, data, Split::Train, data.scenes.count)?;
    let kind = SourceKind::parse(key, spec)?;
    let Some(file) = data.karpathy.clone().or_else(|| beside(&kind)) else {
        if of_coco(opened.source.as_ref()) && !matches!(kind, SourceKind::Karpathy(_)) {
            opened.notes.push(format!(
                "{spec}: nothing is kept out: name Karpathy's dataset_coco.json as data.karpathy, whose test images must not be trained on"
            ));
        }
        return Ok(opened);
    };
    let wrong = |e| VlpError::Config(format!("data.karpathy = {}: {e}", file.display()));
    let rule = HeldOut::from_karpathy(&file).map_err(wrong)?;
    let (kept, removed) = rule.remove(&opened.source).map_err(wrong)?;
    if removed.samples > 0 {
        opened.notes.push(format!(
            "{spec}: {} samples of {} images that Karpathy's split tests on are kept out of training",
            removed.samples, removed.images
        ));
        // Their answers make no vocabulary either.
        let samples = kept.indices();
        let known = |sample: &usize| samples.binary_search(sample).is_ok();
        opened.consensus.retain(|(sample, _)| known(sample));
        opened.source = Arc::new(kept);
    }
    Ok(opened)
}

/// Karpathy's file beside a source of COCO's images.
fn beside(kind: &SourceKind) -> Option<PathBuf> {
    let (SourceKind::Coco(dir) | SourceKind::Genome(dir)) = kind else {
        return None;
    };
    let places = ["", "annotations"].map(|sub| dir.join(sub).join("dataset_coco.json"));
    places
        .into_iter()
        .find(|file: &PathBuf| Path::is_file(file))
}

/// Whether a source's images are known to be COCO's.
fn of_coco(source: &dyn Source) -> bool {
    (0..source.len().min(64)).any(|index| source.coco_id(index).is_some())
}

/// The set of images whose ids a source counts in: those of COCO are the same in every source.
fn images(spec: &str) -> String {
    let kind = spec.split_once(':').map_or(spec, |(kind, _)| kind);
    match kind {
        "coco" | "vqa" | "karpathy" | "karpathy-test" => "coco".into(),
        "json" | "shards" => spec.into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};
    use vlp_data::{Scenes, ScenesConfig};

    use super::*;
    use crate::config::{Sources, resolve};
    use crate::source::answers;

    #[test]
    fn answers_of_images_that_are_kept_out_are_not_in_the_vocabulary() {
        let folder = tempfile::tempdir().unwrap();
        let count = 6;
        let scenes = ScenesConfig {
            count,
            ..ScenesConfig::default()
        };
        Scenes::new(scenes)
            .unwrap()
            .write_to(folder.path())
            .unwrap();
        // One answer that the images 1 and 4 alone have, and one of the others.
        let file = folder.path().join("vqa/v2_mscoco_train_annotations.json");
        let mut annotations: Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for one in annotations["annotations"].as_array_mut().unwrap() {
            let tested = [1, 4].contains(&one["image_id"].as_u64().unwrap());
            one["multiple_choice_answer"] = json!(if tested { "zebra" } else { "horse" });
        }
        std::fs::write(&file, annotations.to_string()).unwrap();
        let image = |id: usize| {
            let split = ["val", "train", "test"][if [1, 4].contains(&id) { id / 2 } else { 1 }];
            json!({"cocoid": id, "split": split, "filename": "x.jpg", "sentences": []})
        };
        let images: Vec<Value> = (0..count).map(image).collect();
        let karpathy = folder.path().join("karpathy.json");
        std::fs::write(&karpathy, json!({ "images": images }).to_string()).unwrap();

        let mut data = resolve(&Sources::default()).unwrap().data;
        data.source = format!("vqa:{}/vqa/train", folder.path().display());
        let vocabulary = |data: &DataConfig| {
            let found = training(data).unwrap();
            let numbers: Vec<usize> = found.consensus.iter().map(|(at, _)| *at).collect();
            (answers(&found.consensus, 1), numbers, found.source.len())
        };
        let (all, numbers, len) = vocabulary(&data);
        assert_eq!(all.len(), 2, "{:?}", all.answers());
        assert_eq!(numbers, (0..len).collect::<Vec<_>>());
        data.karpathy = Some(karpathy);
        let (kept, numbers, left) = vocabulary(&data);
        assert_eq!(kept.answers(), ["horse"]);
        assert!(numbers.len() == left && left < len, "{left} of {len}");
    }
}
