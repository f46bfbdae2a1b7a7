use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    boxes::Number,
    builder::{Builder, name_of},
    pictures::Folders,
    records::{Raw, lists},
    source::{CocoIds, FileSource, Row},
};
use crate::{DataError, LabelSpace, Limits, Object};

/// Visual Genome's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenomeFiles {
    /// `image_data.json`: sizes and COCO ids.
    pub image_data: PathBuf,
    /// `region_descriptions.json`: its phrases are the captions.
    pub regions: PathBuf,
    /// The folder that has `VG_100K` and `VG_100K_2`, or the pictures `IMAGE_ID.jpg` themselves.
    pub images: PathBuf,
    /// `objects.json` and the vocabulary of its names, one class a line with its synonyms behind commas, as
    /// bottom-up-attention's `objects_vocab.txt`. Without them samples have no objects.
    pub objects: Option<(PathBuf, PathBuf)>,
    /// `attributes.json` (or `scene_graphs.json`'s merged form of it) and the vocabulary of attributes, as
    /// `attributes_vocab.txt`; only with `objects`.
    pub attributes: Option<(PathBuf, PathBuf)>,
}

#[derive(Deserialize)]
struct Image {
    #[serde(alias = "id")]
    image_id: u64,
    #[serde(default)]
    url: String,
    width: u32,
    height: u32,
    coco_id: Option<u64>,
}

#[derive(Deserialize)]
struct Regions {
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
struct Objects {
    #[serde(alias = "id")]
    image_id: u64,
    objects: Vec<Thing>,
}

#[derive(Deserialize)]
struct Thing {
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
struct Attributes {
    attributes: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Described {
    Merged { attribute: Attribute },
    Plain(Attribute),
}

#[derive(Deserialize)]
struct Attribute {
    object_id: Option<u64>,
    #[serde(default)]
    attributes: Option<Vec<String>>,
}

/// Reads Visual Genome: one sample an image in the order of `image_data.json`, its captions the phrases of its regions,
/// its key the image id.
///
/// An object's class is that of the first of its names in the vocabulary, its attributes are all those in theirs; names
/// are compared in lower case without space around them. Objects of no class are counted as `outside_vocabulary`.
///
/// # Errors
/// When a file is missing or not in the format, or no image can be used.
pub fn visual_genome(files: &GenomeFiles, limits: &Limits) -> Result<FileSource, DataError> {
    let builder = Builder::new(
        name_of(&files.image_data),
        Folders::new(vec![files.images.clone()])?,
        limits,
    );
    let mut reading = Reading {
        builder,
        rows: HashMap::new(),
        coco: HashMap::new(),
    };
    let path = files.image_data.as_path();
    lists(path, &[""], &[], |_, raw| reading.image(path, &raw))?;
    let path = files.regions.as_path();
    lists(path, &[""], &[], |_, raw| reading.regions(path, &raw))?;
    let (mut classes, mut attributes) = (Vocabulary::default(), Vocabulary::default());
    let mut described = HashMap::new();
    if let Some((path, vocabulary)) = &files.attributes {
        attributes = Vocabulary::read(vocabulary)?;
        lists(path, &[""], &[], |_, raw| {
            reading.attributes(path, &raw, &attributes, &mut described);
        })?;
    }
    if let Some((path, vocabulary)) = &files.objects {
        classes = Vocabulary::read(vocabulary)?;
        for row in &mut reading.builder.rows {
            row.boxed = true;
        }
        lists(path, &[""], &[], |_, raw| {
            reading.objects(path, &raw, &classes, &described);
        })?;
    }
    let labels = LabelSpace {
        name: if classes.names.is_empty() {
            String::new()
        } else {
            "visual genome".into()
        },
        classes: classes.names,
        attributes: attributes.names,
        ids: vec![],
    };
    let coco = CocoIds::Some(reading.coco);
    reading.builder.finish(&files.regions, labels, coco)
}

/// Names and their synonyms.
#[derive(Default)]
struct Vocabulary {
    names: Vec<String>,
    number_of: HashMap<String, usize>,
}

impl Vocabulary {
    fn read(path: &Path) -> Result<Self, DataError> {
        let text = fs::read_to_string(path).map_err(DataError::io(path))?;
        let mut all = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut synonyms = line.split(',').map(plain).filter(|name| !name.is_empty());
            let Some(name) = synonyms.next() else {
                continue;
            };
            let number = all.names.len();
            for synonym in synonyms.chain([name.clone()]) {
                // A word that stands on two lines keeps the first.
                all.number_of.entry(synonym).or_insert(number);
            }
            all.names.push(name);
        }
        if all.names.is_empty() || all.names.len() > usize::from(u16::MAX) {
            let reason = format!(
                "{} names; a vocabulary has one a line with synonyms behind commas, 1 to 65535",
                all.names.len()
            );
            return Err(DataError::Format {
                path: path.into(),
                reason,
            });
        }
        Ok(all)
    }

    fn get(&self, name: &str) -> Option<usize> {
        self.number_of.get(&plain(name)).copied()
    }
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase()
}

struct Reading {
    builder: Builder,
    rows: HashMap<u64, u32>,
    coco: HashMap<u64, u64>,
}

impl Reading {
    fn image(&mut self, path: &Path, raw: &Raw<'_>) {
        let builder = &mut self.builder;
        let image = match raw.parse::<Image>() {
            Ok(image) => image,
            Err(reason) => {
                return builder.fault(path, format!("image number {}", raw.number), reason);
            }
        };
        let key = image.image_id;
        let record = format!("image {key}");
        let reason = if self.rows.contains_key(&key) || builder.gone.contains(&key) {
            return builder.fault(path, record, "its id occurs twice");
        } else if image.width == 0 || image.height == 0 {
            format!("its size is {}x{}", image.width, image.height)
        } else {
            let named = image.url.rsplit('/').nth(1).unwrap_or_default();
            let mut places: Vec<String> = ["VG_100K", "VG_100K_2"]
                .map(|folder| format!("{folder}/{key}.jpg"))
                .into();
            if named == "VG_100K_2" {
                places.reverse();
            }
            places.push(format!("{key}.jpg"));
            match builder.find(&places) {
                Ok((root, file)) => {
                    let size = Some((image.width, image.height));
                    let picture = builder.pictures.push(key, root, &file, size);
                    self.rows.insert(key, builder.row(Row::new(picture)));
                    self.coco.extend(image.coco_id.map(|id| (key, id)));
                    return;
                }
                Err(reason) => reason,
            }
        };
        builder.gone.insert(key);
        builder.fault(path, record, reason);
    }

    /// The row of an image of another file; a fault where it is not known.
    fn row(&mut self, path: &Path, image: u64) -> Option<u32> {
        let row = self.rows.get(&image).copied();
        if row.is_none() && !self.builder.gone.contains(&image) {
            let reason = "image_data.json has no such image";
            self.builder.fault(path, format!("image {image}"), reason);
        }
        row
    }

    fn regions(&mut self, path: &Path, raw: &Raw<'_>) {
        let record = match raw.parse::<Regions>() {
            Ok(record) => record,
            Err(reason) => {
                let record = format!("image number {}", raw.number);
                return self.builder.fault(path, record, reason);
            }
        };
        let Some(row) = self.row(path, record.id) else {
            return;
        };
        for (number, region) in record.regions.iter().enumerate() {
            let added = match &region.phrase {
                Some(phrase) => self.builder.caption(row, phrase),
                None => Err("it lacks phrase".into()),
            };
            if let Err(reason) = added {
                let region = region.region_id.map_or_else(
                    || format!("image {}, region number {}", record.id, number + 1),
                    |id| format!("region {id}"),
                );
                self.builder.fault(path, region, reason);
            }
        }
    }

    fn attributes(
        &mut self,
        path: &Path,
        raw: &Raw<'_>,
        vocabulary: &Vocabulary,
        described: &mut HashMap<u64, Vec<u16>>,
    ) {
        let record = match raw.parse::<Attributes>() {
            Ok(record) => record,
            Err(reason) => {
                let record = format!("image number {}", raw.number);
                return self.builder.fault(path, record, reason);
            }
        };
        for described_object in record.attributes {
            let (Described::Merged { attribute } | Described::Plain(attribute)) = described_object;
            let (Some(object), Some(names)) = (attribute.object_id, attribute.attributes) else {
                // An object without attributes may stand in the file.
                continue;
            };
            for name in names {
                match vocabulary.get(&name) {
                    Some(number) => {
                        let all = described.entry(object).or_default();
                        if !all.contains(&(number as u16)) {
                            all.push(number as u16);
                        }
                    }
                    None => self.builder.report.outside_vocabulary += 1,
                }
            }
        }
    }

    fn objects(
        &mut self,
        path: &Path,
        raw: &Raw<'_>,
        classes: &Vocabulary,
        described: &HashMap<u64, Vec<u16>>,
    ) {
        let record = match raw.parse::<Objects>() {
            Ok(record) => record,
            Err(reason) => {
                let record = format!("image number {}", raw.number);
                return self.builder.fault(path, record, reason);
            }
        };
        let Some(row) = self.row(path, record.image_id) else {
            return;
        };
        for (number, thing) in record.objects.iter().enumerate() {
            let Some(class) = thing.names.iter().find_map(|name| classes.get(name)) else {
                self.builder.report.outside_vocabulary += 1;
                continue;
            };
            let attributes = thing.object_id.and_then(|id| described.get(&id));
            let object = Object {
                class,
                bbox: [0.0; 4],
                attributes: attributes.map_or_else(Vec::new, |all| {
                    all.iter().map(|&number| usize::from(number)).collect()
                }),
                crowd: false,
                area: 0.0,
            };
            let bbox = [thing.x.0, thing.y.0, thing.w.0, thing.h.0];
            if let Err(reason) = self.builder.object(row, object, bbox, None) {
                let object = thing.object_id.map_or_else(
                    || format!("image {}, object number {}", record.image_id, number + 1),
                    |id| format!("object {id}"),
                );
                self.builder.fault(path, object, reason);
            }
        }
    }
}
