//! The training data: `data.source` and `data.mix`, without test images.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use vlp_data::read::KarpathySplit;
use vlp_data::{LabelSpace, Mixture, MixtureComponent, Source, TestImageFilter};
use vlp_scenes::Split;

use super::source::{OpenedSource, open_for_labels};
use crate::config::{DataConfig, SourceKind};
use crate::error::VlpError;

/// Number of images with equal ids whose files are compared to tell whether two sources have the same images.
const COMPARED_IMAGES: usize = 64;

/// Opens `data.source` and all sources of `data.mix`, without the test images of `data.karpathy`; `trained` as in
/// [`open_for_labels`].
pub(super) fn open_training_source(
    data: &DataConfig,
    trained: &[LabelSpace],
) -> Result<OpenedSource, VlpError> {
    let mut opened = open_filtered(data, trained, "data.source", &data.source)?;
    if data.mix.is_empty() {
        return Ok(opened);
    }
    let mut image_sets = vec![];
    let mut components = vec![MixtureComponent {
        image_set: join_image_set(
            &mut image_sets,
            &data.source,
            &opened.source,
            &mut opened.notes,
        ),
        source: Arc::clone(&opened.source),
        weight: 1.0,
        coco_image_set: coco_image_set(&data.source),
        keep_boxes: true,
    }];
    for (number, mix) in data.mix.iter().enumerate() {
        let key = format!("data.mix[{number}].source");
        let OpenedSource {
            source,
            notes,
            consensus,
            ..
        } = match (mix.boxes, trained) {
            (true, []) => open_with_earlier_labels(data, &components, &key, &mix.source)?,
            (true, trained) => open_filtered(data, trained, &key, &mix.source)?,
            (false, _) => open_filtered(data, &[], &key, &mix.source)?,
        };
        opened.notes.extend(notes);
        opened.consensus.extend(consensus);
        components.push(MixtureComponent {
            image_set: join_image_set(&mut image_sets, &mix.source, &source, &mut opened.notes),
            source,
            weight: mix.weight,
            coco_image_set: coco_image_set(&mix.source),
            keep_boxes: mix.boxes,
        });
    }
    let mixture = Mixture::new(components, "mixture");
    let mixture = mixture.map_err(|e| VlpError::Config(format!("data.mix: {e}")))?;
    opened.source = Arc::new(mixture);
    opened.report = None;
    Ok(opened)
}

/// As [`open_filtered`]. A source that numbers its classes as they occur has the numbers of an earlier source with the same
/// classes.
fn open_with_earlier_labels(
    data: &DataConfig,
    earlier: &[MixtureComponent],
    key: &str,
    spec: &str,
) -> Result<OpenedSource, VlpError> {
    let opened = open_filtered(data, &[], key, spec)?;
    if !SourceKind::parse(key, spec)?.numbers_classes_by_occurrence() {
        return Ok(opened);
    }
    let labels = opened.source.labels();
    let names = |names: &[String]| -> BTreeSet<String> { names.iter().cloned().collect() };
    let is_same = |space: &&LabelSpace| {
        names(&space.classes) == names(&labels.classes)
            && names(&space.attributes).is_superset(&names(&labels.attributes))
    };
    let earlier = earlier.iter().filter(|component| component.keep_boxes);
    let mut spaces = earlier.flat_map(|component| component.source.label_spaces());
    match spaces
        .find(is_same)
        .filter(|space| !space.same_names(labels))
    {
        Some(space) => open_filtered(data, std::slice::from_ref(space), key, spec),
        None => Ok(opened),
    }
}

/// Opens a source without the test images of Karpathy's split.
fn open_filtered(
    data: &DataConfig,
    trained: &[LabelSpace],
    key: &str,
    spec: &str,
) -> Result<OpenedSource, VlpError> {
    let count = data.scenes.count;
    let mut opened = open_for_labels(key, spec, data, trained, Split::Train, count)?;
    let kind = SourceKind::parse(key, spec)?;
    let Some(file) = data.karpathy.clone().or_else(|| karpathy_file(&kind)) else {
        if has_coco_ids(opened.source.as_ref()) && !is_training_split(&kind) {
            opened.notes.push(format!(
                "{spec}: no test images are removed; set data.karpathy to Karpathy's dataset_coco.json, whose test images must not be trained on"
            ));
        }
        return Ok(opened);
    };
    let invalid = |e| VlpError::Config(format!("data.karpathy = {}: {e}", file.display()));
    let filter = TestImageFilter::from_karpathy(&file).map_err(invalid)?;
    let (subset, removed) = filter.remove(&opened.source).map_err(invalid)?;
    // Visual Genome gives an id to every image of COCO.
    if removed.unknown > 0 && !matches!(kind, SourceKind::Genome(_)) {
        opened.notes.push(format!(
            "{spec}: {} samples have no COCO id: test images among them are not removed",
            removed.unknown
        ));
    }
    if removed.samples > 0 {
        opened.notes.push(format!(
            "{spec}: {} samples of {} test images of Karpathy's split removed from training",
            removed.samples, removed.images
        ));
        // Answers to removed questions are not in the vocabulary.
        let indices = subset.indices();
        (opened.consensus).retain(|(index, _)| indices.binary_search(index).is_ok());
        opened.source = Arc::new(subset);
    }
    Ok(opened)
}

/// Karpathy's file next to a source of COCO's images.
fn karpathy_file(kind: &SourceKind) -> Option<PathBuf> {
    let (SourceKind::Coco(dir, _) | SourceKind::Genome(dir)) = kind else {
        return None;
    };
    ["", "annotations"]
        .map(|folder| dir.join(folder).join("dataset_coco.json"))
        .into_iter()
        .find(|file| file.is_file())
}

/// Whether a source has none of the images of Karpathy's validation and test splits.
fn is_training_split(kind: &SourceKind) -> bool {
    let SourceKind::Karpathy(_, splits) = kind else {
        return false;
    };
    !splits
        .iter()
        .any(|split| KarpathySplit::EVALUATION.contains(split))
}

/// Whether a source's images have COCO ids.
fn has_coco_ids(source: &dyn Source) -> bool {
    (0..source.len()).any(|index| source.coco_id(index).is_some())
}

/// Sources of one family, whose image ids mean the same images.
struct ImageSet {
    name: String,
    family: String,
    sources: Vec<Arc<dyn Source>>,
}

impl ImageSet {
    /// Whether an image of `source`, whose indices by id are `indices`, has the id of another image file in the set.
    fn has_other_images(&self, source: &dyn Source, indices: &HashMap<u64, usize>) -> bool {
        self.sources.iter().any(|other| {
            let pairs = (0..other.len()).filter_map(|o| Some((o, *indices.get(&other.key(o))?)));
            pairs.take(COMPARED_IMAGES).any(|(other_index, index)| {
                let image = |source: &dyn Source, index| source.encoded_image(index).ok().flatten();
                let pair = image(source, index).zip(image(other.as_ref(), other_index));
                pair.is_some_and(|(a, b)| (a.image, a.second_image) != (b.image, b.second_image))
            })
        })
    }
}

/// Adds a source to the first set of its family without other images, or to a new set. Returns the set's name.
fn join_image_set(
    image_sets: &mut Vec<ImageSet>,
    spec: &str,
    source: &Arc<dyn Source>,
    notes: &mut Vec<String>,
) -> String {
    let family = image_family(spec, source.as_ref());
    let mut name = family.clone();
    if image_sets.iter().any(|set| set.family == family) {
        let mut indices = HashMap::new();
        for index in 0..source.len() {
            indices.entry(source.key(index)).or_insert(index);
        }
        let mut same_family = image_sets.iter_mut().filter(|set| set.family == family);
        if let Some(set) = same_family.find(|set| !set.has_other_images(source.as_ref(), &indices))
        {
            set.sources.push(Arc::clone(source));
            return set.name.clone();
        }
        notes.push(format!(
            "{spec}: its image ids are used for other images in an earlier source; they count as different images"
        ));
        name = spec.to_owned();
    }
    image_sets.push(ImageSet {
        name: name.clone(),
        family,
        sources: vec![Arc::clone(source)],
    });
    name
}

/// The family of COCO's image ids.
const COCO: &str = "coco";

/// The kind of a source, such as `coco`.
fn kind_name(spec: &str) -> &str {
    spec.split_once(':').map_or(spec, |(kind, _)| kind)
}

/// The family of a source's image ids: sources of one family may have the same images under the same ids, such as COCO's, or
/// their own images in the same format, which [`ImageSet::has_other_images`] detects.
fn image_family(spec: &str, source: &dyn Source) -> String {
    match kind_name(spec) {
        "coco" | "vqa" => COCO.into(),
        // Flickr30k's ids are the hashes of the images' names in both.
        "karpathy" | "karpathy-test" if has_coco_ids(source) => COCO.into(),
        "karpathy" | "karpathy-test" | "snli-ve" => "flickr30k".into(),
        "json" | "shards" => spec.into(),
        other => other.into(),
    }
}

/// The image set of a source's COCO ids if they are COCO's own and not the source's keys. Those of a source in COCO's format
/// are the ids of its file, and shards may have been packed from such a source.
fn coco_image_set(spec: &str) -> Option<String> {
    ["genome", "json"]
        .contains(&kind_name(spec))
        .then(|| COCO.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};
    use vlp_scenes::{Scenes, ScenesConfig};

    use super::*;
    use crate::config::{Sources, resolve};
    use crate::data::source::answer_vocabulary;

    #[test]
    fn answers_of_removed_test_images_are_not_in_the_vocabulary() {
        let folder = tempfile::tempdir().unwrap();
        let count = 6;
        let scenes = ScenesConfig::default().with_count(count);
        Scenes::new(scenes)
            .unwrap()
            .write_to(folder.path())
            .unwrap();
        // Images 1 and 4 are test images and have an answer of their own.
        let file = folder.path().join("vqa/v2_mscoco_train_annotations.json");
        let mut annotations: Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for annotation in annotations["annotations"].as_array_mut().unwrap() {
            let in_test = [1, 4].contains(&annotation["image_id"].as_u64().unwrap());
            annotation["multiple_choice_answer"] = json!(if in_test { "zebra" } else { "horse" });
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
            let opened = open_training_source(data, &[]).unwrap();
            let indices: Vec<usize> = opened.consensus.iter().map(|(index, _)| *index).collect();
            let answers = answer_vocabulary(&opened.consensus, 1);
            (answers, indices, opened.source.len())
        };
        let (answers, indices, len) = vocabulary(&data);
        assert_eq!(answers.len(), 2, "{:?}", answers.answers());
        assert_eq!(indices, (0..len).collect::<Vec<_>>());
        data.karpathy = Some(karpathy);
        let (answers, indices, remaining) = vocabulary(&data);
        assert_eq!(answers.answers(), ["horse"]);
        assert!(
            indices.len() == remaining && remaining < len,
            "{remaining} of {len}"
        );
    }

    #[test]
    fn images_are_the_same_in_sources_with_other_ids() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let count = 40;
        let scenes = ScenesConfig::default().with_count(count);
        Scenes::new(scenes).unwrap().write_to(path("coco")).unwrap();
        let coco_id = |id: usize| json!({"image": format!("{id:012}.png"), "caption": "a copy", "image_id": 1000 + id, "coco_id": id});
        let copies: Vec<Value> = (0..count).map(coco_id).collect();
        std::fs::write(path("coco/train/own.json"), json!(copies).to_string()).unwrap();
        let flickr = path("coco/snli_ve/flickr30k_images");
        let image = |id: usize| json!({"split": "train", "filename": format!("{id}.jpg"), "sentences": [{"raw": "a photo"}]});
        let images: Vec<Value> = (0..count).map(image).collect();
        let karpathy = flickr.join("dataset_flickr30k.json");
        std::fs::write(&karpathy, json!({ "images": images }).to_string()).unwrap();
        std::fs::copy(
            path("coco/snli_ve/snli_ve_train.jsonl"),
            flickr.join("train.jsonl"),
        )
        .unwrap();

        let spec = |kind: &str, file: &std::path::Path| format!("{kind}:{}", file.display());
        let mixes = [
            [
                spec("coco", &path("coco")),
                spec("json", &path("coco/train/own.json")),
            ],
            [
                spec("karpathy", &karpathy),
                spec("snli-ve", &flickr.join("train.jsonl")),
            ],
        ];
        for [source, mix] in mixes {
            let mut data = resolve(&Sources::default()).unwrap().data;
            data.source = source;
            data.mix = vec![serde_json::from_value(json!({ "source": mix })).unwrap()];
            let source = open_training_source(&data, &[]).unwrap().source;
            let keys = (0..source.len()).map(|index| source.key(index));
            let distinct: std::collections::HashSet<u64> = keys.collect();
            assert!(source.len() >= 2 * count);
            assert_eq!(distinct.len(), count, "{}", data.source);
        }
    }

    #[test]
    fn own_data_sets_in_one_format_do_not_share_image_ids() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        for (seed, dir) in [(1, &first), (2, &second)] {
            let scenes = ScenesConfig::default().with_count(5).with_seed(seed);
            Scenes::new(scenes).unwrap().write_to(dir).unwrap();
        }
        let mut data = resolve(&Sources::default()).unwrap().data;
        data.source = format!("coco:{}", first.display());
        let mix = [
            format!("vqa:{}/vqa@train", first.display()),
            format!("coco:{}", second.display()),
            format!("vqa:{}/vqa@train", second.display()),
        ];
        data.mix = mix
            .map(|s| serde_json::from_value(json!({"source": s})).unwrap())
            .into();
        let opened = open_training_source(&data, &[]).unwrap();
        let keys = (0..opened.source.len()).map(|index| opened.source.key(index));
        // The questions about an image share its id; the images of the two folders do not.
        assert_eq!(keys.collect::<std::collections::HashSet<_>>().len(), 10);
        let note = "they count as different images";
        assert!(
            opened.notes.iter().any(|line| line.contains(note)),
            "{:?}",
            opened.notes
        );
    }
}
