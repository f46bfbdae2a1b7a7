use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    boxes::{Number, area_or_box},
    builder::{SourceBuilder, source_name},
    duplicate_boxes::merge_duplicates,
    folders::Folders,
    genome_labels::{self, class_and_attributes},
    records::{RawRecord, lists},
    row::{CocoIds, Row},
    source::FileSource,
};
use crate::{AnnotatedObject, DataError, LabelSpace, Limits};

/// Visual Genome's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenomeFiles {
    /// `image_data.json`: sizes and COCO ids.
    pub image_data: PathBuf,
    /// `region_descriptions.json`: the phrases are the captions.
    pub regions: PathBuf,
    /// The folder with `VG_100K` and `VG_100K_2`, or with the images `IMAGE_ID.jpg` themselves.
    pub images: PathBuf,
    /// `objects.json` and its class vocabulary, such as bottom-up-attention's `objects_vocab.txt`: one class per line with
    /// synonyms after commas. Without them samples have no objects.
    pub objects: Option<(PathBuf, PathBuf)>,
    /// `attributes.json` (or the merged form in `scene_graphs.json`) and its vocabulary, such as `attributes_vocab.txt`;
    /// used only with `objects`.
    pub attributes: Option<(PathBuf, PathBuf)>,
}

#[derive(Deserialize)]
struct ImageRecord {
    #[serde(alias = "id")]
    image_id: u64,
    #[serde(default)]
    url: String,
    width: u32,
    height: u32,
    coco_id: Option<u64>,
}

#[derive(Deserialize)]
struct RegionsRecord {
    #[serde(alias = "image_id")]
    id: u64,
    regions: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    region_id: Option<u64>,
    phrase: Option<String>,
}

#[derive(Deserialize)]
struct ObjectsRecord {
    #[serde(alias = "id")]
    image_id: u64,
    objects: Vec<ObjectRecord>,
}

#[derive(Deserialize)]
struct ObjectRecord {
    object_id: Option<u64>,
    #[serde(default)]
    x: Number,
    #[serde(default)]
    y: Number,
    #[serde(default, alias = "width")]
    w: Number,
    #[serde(default, alias = "height")]
    h: Number,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct AttributesRecord {
    attributes: Vec<AttributeRecord>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AttributeRecord {
    Merged { attribute: ObjectAttributes },
    Plain(ObjectAttributes),
}

#[derive(Deserialize)]
struct ObjectAttributes {
    object_id: Option<u64>,
    #[serde(default)]
    attributes: Option<Vec<String>>,
}

/// Reads Visual Genome: one sample per image in the order of `image_data.json`. The captions are the phrases of its regions,
/// the key is the image id.
///
/// The class of an object is that of its first name in the vocabulary; attributes outside theirs are dropped. Names are
/// cleaned by the rules of bottom-up attention's `data/genome/setup_vg.py`, by which its vocabularies were made: in lower
/// case, without a period at the end; adjectives of a short list are attributes where only they stand before the last word of
/// an object's name (`white shirt`), and attributes are divided at ` and `. Objects without a class are counted as
/// `outside_vocabulary`. The boxes of an image are unknown if `objects.json` lacks it, or its record there is invalid.
///
/// Annotators often boxed the same object more than once. With `duplicate_iou`, in `0..=1`, an object whose box has at least
/// this intersection over union with an earlier one of the same class and image is not another object: its attributes are
/// added to those of the earlier one. Such objects are counted as `duplicate_boxes`. The papers do not mention duplicates.
///
/// # Errors
/// If a file is missing or has another format, or no image is valid.
pub fn visual_genome(
    files: &GenomeFiles,
    duplicate_iou: Option<f64>,
    limits: &Limits,
) -> Result<FileSource, DataError> {
    let builder = SourceBuilder::new(
        source_name(&files.image_data),
        Folders::new(vec![files.images.clone()])?,
        limits,
    );
    let mut reader = GenomeReader {
        builder,
        rows: HashMap::new(),
        coco_ids: HashMap::new(),
        duplicate_iou,
    };
    let path = files.image_data.as_path();
    lists(path, &[""], &[], |_, record| {
        reader.add_image(path, &record)
    })?;
    let path = files.regions.as_path();
    lists(path, &[""], &[], |_, record| {
        reader.add_regions(path, &record);
    })?;
    let (mut classes, mut attributes) = (Vocabulary::default(), Vocabulary::default());
    let mut object_attributes = HashMap::new();
    if let Some((path, vocabulary)) = &files.attributes {
        attributes = Vocabulary::read(vocabulary)?;
        lists(path, &[""], &[], |_, record| {
            reader.add_attributes(path, &record, &attributes, &mut object_attributes);
        })?;
    }
    if let Some((path, vocabulary)) = &files.objects {
        classes = Vocabulary::read(vocabulary)?;
        lists(path, &[""], &[], |_, record| {
            reader.add_objects(path, &record, &classes, &attributes, &object_attributes);
        })?;
    }
    let labels = LabelSpace {
        name: if classes.names.is_empty() {
            String::new()
        } else {
            "visual_genome".into()
        },
        classes: classes.names,
        attributes: attributes.names,
        ids: vec![],
    };
    let coco_ids = CocoIds::ByKey(reader.coco_ids.into_iter().collect());
    reader.builder.finish(&files.regions, labels, coco_ids)
}

/// Names with their synonyms.
#[derive(Default)]
struct Vocabulary {
    names: Vec<String>,
    indices: HashMap<String, usize>,
}

impl Vocabulary {
    fn read(path: &Path) -> Result<Self, DataError> {
        let text = fs::read_to_string(path).map_err(DataError::io(path))?;
        let text = text.trim_start_matches('\u{feff}');
        let mut vocabulary = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut synonyms = line
                .split(',')
                .map(normalize)
                .filter(|name| !name.is_empty());
            let Some(name) = synonyms.next() else {
                continue;
            };
            let index = vocabulary.names.len();
            for synonym in synonyms.chain([name.clone()]) {
                // The first line of a word wins.
                vocabulary.indices.entry(synonym).or_insert(index);
            }
            vocabulary.names.push(name);
        }
        let len = vocabulary.names.len();
        if len == 0 || len > usize::from(u16::MAX) {
            let reason = format!(
                "{len} names; a vocabulary has 1 to 65535, one per line with synonyms after commas"
            );
            return Err(DataError::Format {
                path: path.into(),
                reason,
            });
        }
        Ok(vocabulary)
    }

    /// The index of a cleaned name.
    fn get(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }
}

fn normalize(name: &str) -> String {
    name.trim().to_lowercase()
}

struct GenomeReader {
    builder: SourceBuilder,
    /// By image id.
    rows: HashMap<u64, u32>,
    /// By image id.
    coco_ids: HashMap<u64, u64>,
    /// Intersection over union from which boxes of a class are the same object.
    duplicate_iou: Option<f64>,
}

impl GenomeReader {
    fn add_image(&mut self, path: &Path, raw_record: &RawRecord<'_>) {
        let builder = &mut self.builder;
        let image = match raw_record.parse::<ImageRecord>() {
            Ok(image) => image,
            Err(reason) => {
                return builder.skip(path, format!("image number {}", raw_record.number), reason);
            }
        };
        let key = image.image_id;
        let record = format!("image {key}");
        let reason = if self.rows.contains_key(&key) || builder.skipped_images.contains(&key) {
            return builder.skip(path, record, "its id occurs twice");
        } else if image.width == 0 || image.height == 0 {
            format!("its size is {}x{}", image.width, image.height)
        } else {
            let folder = image.url.rsplit('/').nth(1).unwrap_or_default();
            let mut candidates: Vec<String> = ["VG_100K", "VG_100K_2"]
                .map(|folder| format!("{folder}/{key}.jpg"))
                .into();
            if folder == "VG_100K_2" {
                candidates.reverse();
            }
            candidates.push(format!("{key}.jpg"));
            match builder.find(&candidates) {
                Ok((root, file)) => {
                    let size = Some((image.width, image.height));
                    let image_index = builder.images.push(key, root, &file, size);
                    self.rows
                        .insert(key, builder.push_row(Row::new(image_index)));
                    self.coco_ids.extend(image.coco_id.map(|id| (key, id)));
                    return;
                }
                Err(reason) => reason,
            }
        };
        builder.skipped_images.insert(key);
        builder.skip(path, record, reason);
    }

    /// The row of an image that another file refers to; skips the record if there is none.
    fn row(&mut self, path: &Path, image: u64) -> Option<u32> {
        let row = self.rows.get(&image).copied();
        if row.is_none() && !self.builder.skipped_images.contains(&image) {
            let reason = "image_data.json has no such image";
            self.builder.skip(path, format!("image {image}"), reason);
        }
        row
    }

    fn add_regions(&mut self, path: &Path, raw_record: &RawRecord<'_>) {
        let record = match raw_record.parse::<RegionsRecord>() {
            Ok(record) => record,
            Err(reason) => {
                let record = format!("image number {}", raw_record.number);
                return self.builder.skip(path, record, reason);
            }
        };
        let Some(row) = self.row(path, record.id) else {
            return;
        };
        for (index, region) in record.regions.iter().enumerate() {
            let added = match &region.phrase {
                Some(phrase) => self.builder.push_caption(row, phrase),
                None => Err("it lacks phrase".into()),
            };
            if let Err(reason) = added {
                let region = region.region_id.map_or_else(
                    || format!("image {}, region number {}", record.id, index + 1),
                    |id| format!("region {id}"),
                );
                self.builder.skip(path, region, reason);
            }
        }
    }

    fn add_attributes(
        &mut self,
        path: &Path,
        raw_record: &RawRecord<'_>,
        vocabulary: &Vocabulary,
        object_attributes: &mut HashMap<u64, Vec<u16>>,
    ) {
        let record = match raw_record.parse::<AttributesRecord>() {
            Ok(record) => record,
            Err(reason) => {
                let record = format!("image number {}", raw_record.number);
                return self.builder.skip(path, record, reason);
            }
        };
        for attribute in record.attributes {
            let (AttributeRecord::Merged { attribute } | AttributeRecord::Plain(attribute)) =
                attribute;
            let (Some(object), Some(names)) = (attribute.object_id, attribute.attributes) else {
                // The file also lists objects without attributes.
                continue;
            };
            for name in names
                .iter()
                .flat_map(|name| genome_labels::attributes(name))
            {
                match vocabulary.get(&name) {
                    Some(index) => {
                        let attributes = object_attributes.entry(object).or_default();
                        if !attributes.contains(&(index as u16)) {
                            attributes.push(index as u16);
                        }
                    }
                    None => self.builder.report.outside_vocabulary += 1,
                }
            }
        }
    }

    fn add_objects(
        &mut self,
        path: &Path,
        raw_record: &RawRecord<'_>,
        classes: &Vocabulary,
        attributes: &Vocabulary,
        object_attributes: &HashMap<u64, Vec<u16>>,
    ) {
        let record = match raw_record.parse::<ObjectsRecord>() {
            Ok(record) => record,
            Err(reason) => {
                let record = format!("image number {}", raw_record.number);
                return self.builder.skip(path, record, reason);
            }
        };
        let Some(row) = self.row(path, record.image_id) else {
            return;
        };
        self.builder.rows[row as usize].has_boxes = true;
        let mut objects = Vec::new();
        for (index, object_record) in record.objects.iter().enumerate() {
            let in_vocabulary = |name: &String| {
                let (class, adjectives) = class_and_attributes(name);
                Some((classes.get(&class)?, adjectives))
            };
            let Some((class, adjectives)) = object_record.names.iter().find_map(in_vocabulary)
            else {
                self.builder.report.outside_vocabulary += 1;
                continue;
            };
            let object_id = object_record.object_id;
            let annotated = object_id.and_then(|id| object_attributes.get(&id));
            let annotated = annotated.into_iter().flatten();
            let mut indices: Vec<usize> = annotated.map(|&index| usize::from(index)).collect();
            for adjective in adjectives {
                match attributes.get(&adjective) {
                    Some(index) if !indices.contains(&index) => indices.push(index),
                    Some(_) => {}
                    // Without a vocabulary of attributes no object has any.
                    None if attributes.names.is_empty() => {}
                    None => self.builder.report.outside_vocabulary += 1,
                }
            }
            let ObjectRecord { x, y, w, h, .. } = *object_record;
            let object = AnnotatedObject {
                class,
                bbox: [x.0, y.0, w.0, h.0],
                attributes: indices,
                crowd: false,
                area: area_or_box(None, w, h),
            };
            objects.push((index, object));
        }
        if let Some(iou) = self.duplicate_iou {
            let count = objects.len();
            objects = merge_duplicates(objects, iou);
            self.builder.report.duplicate_boxes += count - objects.len();
        }
        for (index, object) in objects {
            if let Err(reason) = self.builder.push_object(row, object) {
                let object = record.objects[index].object_id.map_or_else(
                    || format!("image {}, object number {}", record.image_id, index + 1),
                    |id| format!("object {id}"),
                );
                self.builder.skip(path, object, reason);
            }
        }
    }
}
