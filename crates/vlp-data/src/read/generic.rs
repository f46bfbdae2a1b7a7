use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use getset::WithSetters;
use serde::Deserialize;

use super::{
    boxes::{CrowdFlag, Number, area_or_box},
    builder::{SourceBuilder, source_name},
    file_images::FileImages,
    folders::Folders,
    records::{RawRecord, list_or_lines},
    report::trim_caption,
    row::{CocoIds, Row, StoredLabel},
    source::FileSource,
};
use crate::{AnnotatedObject, AnswerType, DataError, Entailment, LabelSpace, Limits, hash::fnv1a};

/// Options of [`generic`].
#[derive(Debug, Clone, Default, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct GenericOptions {
    /// Folder that the records' `image`s are relative to; by default the file's own.
    pub images: Option<PathBuf>,
    /// Names of classes and attributes, for example the training file's when the test file is read; boxes with other names
    /// are skipped. By default every name is added in the order of its first occurrence.
    pub labels: Option<LabelSpace>,
    /// Images outside these limits are not decoded.
    pub limits: Limits,
}

/// A record of the format in this crate's README.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenericRecord {
    /// In a shard the image's original name.
    pub(crate) image: Option<String>,
    pub(crate) image2: Option<String>,
    pub(crate) image_id: Option<u64>,
    coco_id: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(alias = "captions", alias = "question", alias = "text")]
    caption: OneOrMany,
    boxes: Option<Vec<LabeledBox>>,
    #[serde(alias = "answer")]
    answers: Option<OneOrMany>,
    /// The annotators' consensus. With it a single answer is not repeated for ten annotators.
    consensus: Option<String>,
    answer_type: Option<AnswerType>,
    question_type: Option<String>,
    label: Option<TruthOrText>,
    #[serde(alias = "question_id")]
    id: Option<NumberOrText>,
    /// Ignored: the key is part of the member names.
    #[serde(rename = "key")]
    _key: Option<String>,
}

impl GenericRecord {
    /// A record with only a caption.
    pub(crate) fn from_caption(text: String) -> Self {
        Self {
            image: None,
            image2: None,
            image_id: None,
            coco_id: None,
            width: None,
            height: None,
            caption: OneOrMany::One(text),
            boxes: None,
            answers: None,
            consensus: None,
            answer_type: None,
            question_type: None,
            label: None,
            id: None,
            _key: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "caption, question, text and answers must be a text or a list of texts"
)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "label must be true, false, \"entailment\", \"neutral\" or \"contradiction\""
)]
enum TruthOrText {
    Truth(bool),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "id must be a whole number from 0 on, or a text")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabeledBox {
    bbox: Vec<Number>,
    label: String,
    attributes: Option<Vec<String>>,
    area: Option<f64>,
    #[serde(default)]
    crowd: CrowdFlag,
}

/// Reads a file of the format that this crate's README describes: a JSON list of records, or one record per line. One
/// sample per record, in the file's order; its key is `image_id`, otherwise the hash of `image`.
///
/// # Errors
/// If the file or the image folder is missing, or no record is valid.
pub fn generic(file: impl AsRef<Path>, options: GenericOptions) -> Result<FileSource, DataError> {
    let file = file.as_ref();
    let folder = options.images.unwrap_or_else(|| {
        let parent = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
    });
    let folders = Folders::new(vec![folder])?;
    let builder = SourceBuilder::new(source_name(file), folders, &options.limits);
    let mut reader = GenericReader::new(builder, options.labels);
    let mut images = FileImages::default();
    list_or_lines(file, |record| {
        if let Err(reason) = add_record(&mut reader, &mut images, file, &record) {
            let record = format!("record {}", record.number);
            reader.builder.skip(file, record, reason);
        }
    })?;
    reader.finish(file)
}

/// Adds a record of a file.
fn add_record(
    reader: &mut GenericReader,
    images: &mut FileImages,
    file: &Path,
    record: &RawRecord<'_>,
) -> Result<(), String> {
    let number = record.number;
    let record: GenericRecord = record.parse()?;
    reader.push_record(
        file,
        &format!("record {number}"),
        record,
        |builder, record, size| {
            let image = record.image.as_deref().ok_or("missing field `image`")?;
            let left = images.index(builder, number, image, record.image_id, size)?;
            let right = record.image2.as_deref();
            let right = right.map(|image| images.second_index(builder, image));
            Ok((left, right.transpose()?))
        },
    )
}

/// Builds a source of [`GenericRecord`]s in files or shards.
pub(crate) struct GenericReader {
    pub(crate) builder: SourceBuilder,
    /// Whether names may not be added to `labels`.
    labels_are_fixed: bool,
    labels: LabelSpace,
    class_indices: HashMap<String, usize>,
    attribute_indices: HashMap<String, usize>,
    /// Hashes of the record ids.
    id_hashes: HashSet<u64>,
    /// COCO's ids of the images, by key.
    coco_ids: HashMap<u64, u64>,
    /// Whether every image so far has a COCO id that equals its key.
    coco_ids_are_keys: bool,
}

impl GenericReader {
    /// With `labels` no other names are accepted.
    pub(crate) fn new(builder: SourceBuilder, labels: Option<LabelSpace>) -> Self {
        let labels_are_fixed = labels.is_some();
        let labels = labels.unwrap_or_else(|| LabelSpace {
            name: builder.name.clone(),
            ..LabelSpace::default()
        });
        let indices = |names: &[String]| names.iter().cloned().zip(0..).collect();
        Self {
            builder,
            labels_are_fixed,
            class_indices: indices(&labels.classes),
            attribute_indices: indices(&labels.attributes),
            labels,
            id_hashes: HashSet::new(),
            coco_ids: HashMap::new(),
            coco_ids_are_keys: true,
        }
    }

    /// The source; `file` names its records in messages.
    ///
    /// # Errors
    /// As [`SourceBuilder::finish`].
    pub(crate) fn finish(self, file: &Path) -> Result<FileSource, DataError> {
        let coco_ids = match (self.coco_ids.is_empty(), self.coco_ids_are_keys) {
            (true, _) => CocoIds::Unknown,
            (false, true) => CocoIds::Keys,
            (false, false) => CocoIds::ByKey(self.coco_ids.into_iter().collect()),
        };
        self.builder.finish(file, self.labels, coco_ids)
    }

    /// Adds a record, called `name` in messages. `images` returns the indices of its left and right image, given its
    /// annotated size; it is called after the record was validated.
    ///
    /// # Errors
    /// Why the record is skipped.
    pub(crate) fn push_record(
        &mut self,
        file: &Path,
        name: &str,
        record: GenericRecord,
        images: impl FnOnce(
            &mut SourceBuilder,
            &GenericRecord,
            Option<(u32, u32)>,
        ) -> Result<(u32, Option<u32>), String>,
    ) -> Result<(), String> {
        let size = match (record.width, record.height) {
            (None, None) => None,
            (Some(width), Some(height)) if width > 0 && height > 0 => Some((width, height)),
            _ => return Err("width and height must both be above 0, or both be missing".into()),
        };
        let label = self.label(&record)?;
        let captions = record.caption.as_slice();
        let trimmed: Vec<Result<&str, String>> =
            captions.iter().map(|text| trim_caption(text)).collect();
        if trimmed.iter().all(Result::is_err) {
            self.builder.report.empty_captions += trimmed.len();
            let first = trimmed.into_iter().find_map(Result::err);
            return Err(first.unwrap_or_else(|| "it has no caption".into()));
        }
        let id = match &record.id {
            Some(NumberOrText::Number(id)) => Some(id.to_string()),
            Some(NumberOrText::Text(id)) => Some(id.clone()),
            None => None,
        };
        let id_hash = id.as_ref().map(|id| fnv1a(id.bytes()));
        if let Some(id) = &id
            && id_hash.is_some_and(|hash| self.id_hashes.contains(&hash))
        {
            return Err(format!("its id {id:?} occurs twice"));
        }
        let (image, second_image) = images(&mut self.builder, &record, size)?;
        let builder = &mut self.builder;
        let key = builder.images.key(image);
        if let Some(id) = record.coco_id {
            let first = *self.coco_ids.entry(key).or_insert(id);
            if first != id {
                return Err(format!(
                    "its image has coco_id {id}, but {first} in an earlier record"
                ));
            }
        }
        // The id of a skipped record is free.
        self.id_hashes.extend(id_hash);
        self.coco_ids_are_keys &= record.coco_id == Some(key);
        let row = Row {
            second_image,
            has_boxes: record.boxes.is_some(),
            label,
            record: id.map(|id| builder.text_id(&id)),
            question_type: record.question_type.map(|text| builder.intern(&text)),
            answer_type: record.answer_type,
            ..Row::new(image)
        };
        let row = builder.push_row(row);
        for (index, text) in captions.iter().enumerate() {
            if let Err(reason) = builder.push_caption(row, text) {
                let caption = format!("{name}, caption {}", index + 1);
                builder.skip(file, caption, reason);
            }
        }
        for (index, labeled_box) in record.boxes.into_iter().flatten().enumerate() {
            if let Err(reason) = self.push_object(row, &labeled_box) {
                let labeled_box = format!("{name}, box {}", index + 1);
                self.builder.skip(file, labeled_box, reason);
            }
        }
        Ok(())
    }

    fn label(&mut self, record: &GenericRecord) -> Result<StoredLabel, String> {
        let text = match (&record.label, &record.answers) {
            (None, None) => return Ok(StoredLabel::None),
            (Some(_), Some(_)) => return Err("it has both label and answers".into()),
            (None, Some(answers)) => {
                let consensus = record.consensus.as_deref();
                return match (answers.as_slice(), consensus) {
                    ([], _) => Err("it has no answers".into()),
                    // Soft scores assume ten annotators.
                    ([answer], None) => Ok(self.builder.answers(&vec![answer.clone(); 10], None)),
                    (answers, _) => Ok(self.builder.answers(answers, consensus)),
                };
            }
            (Some(TruthOrText::Truth(truth)), None) => return Ok(StoredLabel::Truth(*truth)),
            (Some(TruthOrText::Text(text)), None) => text,
        };
        match text.to_lowercase().as_str() {
            "true" => Ok(StoredLabel::Truth(true)),
            "false" => Ok(StoredLabel::Truth(false)),
            name => Entailment::from_name(name)
                .map(StoredLabel::Entailment)
                .ok_or_else(|| {
                    format!(
                        "its label {text:?} is none of true, false, entailment, neutral and contradiction"
                    )
                }),
        }
    }

    fn push_object(&mut self, row: u32, labeled_box: &LabeledBox) -> Result<(), String> {
        let &[x, y, w, h] = labeled_box.bbox.as_slice() else {
            return Err("its bbox is not [x, y, width, height]".into());
        };
        let (labels, fixed) = (&mut self.labels, self.labels_are_fixed);
        let class = index_of(
            &labeled_box.label,
            &mut labels.classes,
            &mut self.class_indices,
            fixed,
        )?;
        let (names, indices) = (&mut labels.attributes, &mut self.attribute_indices);
        let attributes = labeled_box.attributes.iter().flatten();
        let attributes = attributes.map(|name| index_of(name, names, indices, fixed));
        let object = AnnotatedObject {
            class,
            bbox: [x.0, y.0, w.0, h.0],
            attributes: attributes.collect::<Result<_, _>>()?,
            crowd: labeled_box.crowd.0,
            area: area_or_box(labeled_box.area, w, h),
        };
        self.builder.push_object(row, object)
    }
}

/// The index of a name, which is added if it is new and `fixed` is false.
fn index_of(
    name: &str,
    names: &mut Vec<String>,
    indices: &mut HashMap<String, usize>,
    fixed: bool,
) -> Result<usize, String> {
    match indices.get(name) {
        Some(&index) => Ok(index),
        None if fixed => Err(format!("unknown label {name:?}")),
        None if names.len() >= usize::from(u16::MAX) => Err("too many labels".to_owned()),
        None => {
            indices.insert(name.into(), names.len());
            names.push(name.into());
            Ok(names.len() - 1)
        }
    }
}
