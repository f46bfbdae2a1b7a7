use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    boxes::Number,
    builder::{Builder, name_of},
    pictures::{Folders, fnv},
    records::{Raw, list_or_lines},
    report,
    source::{CocoIds, FileSource, Row, Stored},
};
use crate::{AnswerType, DataError, Entailment, LabelSpace, Limits, Object};

/// How a file of one's own is read.
#[derive(Debug, Clone, Default)]
pub struct GenericOptions {
    /// Folder that the records' `image`s start from; by default the file's own.
    pub images: Option<PathBuf>,
    /// Names of classes and attributes, such as those of the training file for its test file; others are faults. By
    /// default every name that occurs is numbered in the order of its first box.
    pub labels: Option<LabelSpace>,
    /// Pictures outside are not decoded.
    pub limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// In a shard the name that the picture had before.
    pub(crate) image: Option<String>,
    pub(crate) image2: Option<String>,
    pub(crate) image_id: Option<u64>,
    coco_id: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(alias = "captions", alias = "question", alias = "text")]
    caption: Many,
    boxes: Option<Vec<Boxed>>,
    #[serde(alias = "answer")]
    answers: Option<Many>,
    /// The answer that counts as the annotators'; then the answers are all of theirs, be it one.
    consensus: Option<String>,
    answer_type: Option<AnswerType>,
    question_type: Option<String>,
    label: Option<Word>,
    #[serde(alias = "question_id")]
    id: Option<Name>,
    /// A shard's name of the sample; it stands in the members' names.
    #[serde(rename = "key")]
    _key: Option<String>,
}

impl Line {
    /// A record that is a caption alone.
    pub(crate) fn of_text(text: String) -> Self {
        Self {
            image: None,
            image2: None,
            image_id: None,
            coco_id: None,
            width: None,
            height: None,
            caption: Many::One(text),
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
#[serde(untagged)]
enum Many {
    One(String),
    All(Vec<String>),
}

impl Many {
    fn list(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::All(texts) => texts,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Truth(bool),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Number(u64),
    Text(String),
}

#[derive(Deserialize)]
struct Boxed {
    bbox: Vec<Number>,
    label: String,
    #[serde(default)]
    attributes: Vec<String>,
    area: Option<f64>,
    #[serde(default)]
    crowd: bool,
}

/// Reads a file of one's own: a JSON list of records or one record a line, in the format that the crate's page
/// describes. One sample a record, in the file's order; its key is `image_id`, or the hash of `image`.
///
/// # Errors
/// When the file or the folder of pictures is missing, or no record can be used.
pub fn generic(file: impl AsRef<Path>, options: GenericOptions) -> Result<FileSource, DataError> {
    let file = file.as_ref();
    let folder = options.images.unwrap_or_else(|| {
        let parent = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
    });
    let name = name_of(file);
    let builder = Builder::new(name, Folders::new(vec![folder])?, &options.limits);
    let mut reading = Reading::new(builder, options.labels);
    let mut pictures = HashMap::new();
    list_or_lines(file, |raw| {
        if let Err(reason) = line(&mut reading, &mut pictures, file, &raw) {
            let record = format!("record {}", raw.number);
            reading.builder.fault(file, record, reason);
        }
    })?;
    reading.finish(file)
}

/// A record of a file. `pictures` is by file, with the size that the first record of it gave.
fn line(
    reading: &mut Reading,
    pictures: &mut HashMap<String, u32>,
    file: &Path,
    raw: &Raw<'_>,
) -> Result<(), String> {
    let line: Line = raw.parse()?;
    let mut picture = |builder: &mut Builder, image: &str, key, size| {
        if let Some(&picture) = pictures.get(image) {
            return Ok::<u32, String>(picture);
        }
        let (root, file) = builder.find(&[image.to_owned()])?;
        let picture = builder.pictures.push(key, root, &file, size);
        pictures.insert(image.to_owned(), picture);
        Ok(picture)
    };
    let record = format!("record {}", raw.number);
    reading.record(file, &record, line, |builder, line, size| {
        let image = line.image.as_deref().ok_or("missing field `image`")?;
        let key = line.image_id.unwrap_or_else(|| fnv(image.bytes()));
        let left = picture(builder, image, key, size)?;
        let right = line.image2.as_deref().map(|image| {
            let key = fnv(image.bytes());
            picture(builder, image, key, None)
        });
        Ok((left, right.transpose()?))
    })
}

/// Records of the format in the making of a source, wherever their pictures are.
pub(crate) struct Reading {
    pub(crate) builder: Builder,
    /// Whether names may not be added.
    fixed: bool,
    labels: LabelSpace,
    class_of: HashMap<String, usize>,
    attribute_of: HashMap<String, usize>,
    ids: HashSet<u64>,
    /// COCO's ids of the images, by key.
    coco: HashMap<u64, u64>,
    /// Whether every one so far is the key.
    coco_keys: bool,
}

impl Reading {
    /// With `labels` no other names are taken.
    pub(crate) fn new(builder: Builder, labels: Option<LabelSpace>) -> Self {
        let fixed = labels.is_some();
        let labels = labels.unwrap_or_else(|| LabelSpace {
            name: builder.name.clone(),
            ..LabelSpace::default()
        });
        let numbered = |names: &[String]| names.iter().cloned().zip(0..).collect();
        Self {
            builder,
            fixed,
            class_of: numbered(&labels.classes),
            attribute_of: numbered(&labels.attributes),
            labels,
            ids: HashSet::new(),
            coco: HashMap::new(),
            coco_keys: true,
        }
    }

    /// The source; `file` is where its records stand, for messages.
    ///
    /// # Errors
    /// As [`Builder::finish`].
    pub(crate) fn finish(self, file: &Path) -> Result<FileSource, DataError> {
        let coco = match (self.coco.is_empty(), self.coco_keys) {
            (true, _) => CocoIds::Unknown,
            (false, true) => CocoIds::Keys,
            (false, false) => CocoIds::Some(self.coco),
        };
        self.builder.finish(file, self.labels, coco)
    }

    /// Adds a record, named `record` in faults. `pictures` gives its pictures, left and right, and is asked only where
    /// everything else is right.
    pub(crate) fn record(
        &mut self,
        file: &Path,
        record: &str,
        line: Line,
        pictures: impl FnOnce(
            &mut Builder,
            &Line,
            Option<(u32, u32)>,
        ) -> Result<(u32, Option<u32>), String>,
    ) -> Result<(), String> {
        let size = match (line.width, line.height) {
            (None, None) => None,
            (Some(width), Some(height)) if width > 0 && height > 0 => Some((width, height)),
            _ => return Err("width and height must both be above 0, or both be missing".into()),
        };
        let label = self.label(&line)?;
        let captions = line.caption.list();
        let words: Vec<Result<&str, String>> =
            captions.iter().map(|text| report::caption(text)).collect();
        if words.iter().all(Result::is_err) {
            self.builder.report.empty_captions += words.len();
            let first = words.into_iter().find_map(Result::err);
            return Err(first.unwrap_or_else(|| "it has no caption".into()));
        }
        let id = match &line.id {
            Some(Name::Number(id)) => Some(id.to_string()),
            Some(Name::Text(id)) => Some(id.clone()),
            None => None,
        };
        if let Some(id) = &id
            && !self.ids.insert(fnv(id.bytes()))
        {
            return Err(format!("its id {id:?} occurs twice"));
        }
        let (picture, second) = pictures(&mut self.builder, &line, size)?;
        let builder = &mut self.builder;
        let key = builder.pictures.key(picture);
        self.coco_keys &= line.coco_id == Some(key);
        if let Some(id) = line.coco_id {
            self.coco.insert(key, id);
        }
        let row = Row {
            second,
            boxed: line.boxes.is_some(),
            label,
            record: id.map(|id| builder.id(&id)),
            question_type: line.question_type.map(|text| builder.word(&text)),
            answer_type: line.answer_type,
            ..Row::new(picture)
        };
        let row = builder.row(row);
        for (number, text) in captions.iter().enumerate() {
            if let Err(reason) = builder.caption(row, text) {
                let record = format!("{record}, caption {}", number + 1);
                builder.fault(file, record, reason);
            }
        }
        for (number, boxed) in line.boxes.into_iter().flatten().enumerate() {
            if let Err(reason) = self.object(row, &boxed) {
                let record = format!("{record}, box {}", number + 1);
                self.builder.fault(file, record, reason);
            }
        }
        Ok(())
    }

    fn label(&mut self, line: &Line) -> Result<Stored, String> {
        let text = match (&line.label, &line.answers) {
            (None, None) => return Ok(Stored::None),
            (Some(_), Some(_)) => return Err("it has both label and answers".into()),
            (None, Some(answers)) => {
                let consensus = line.consensus.as_deref();
                return match (answers.list(), consensus) {
                    ([], _) => Err("it has no answers".into()),
                    // Soft scores count ten annotators.
                    ([one], None) => Ok(self.builder.answers(&vec![one.clone(); 10], None)),
                    (answers, _) => Ok(self.builder.answers(answers, consensus)),
                };
            }
            (Some(Word::Truth(truth)), None) => return Ok(Stored::Truth(*truth)),
            (Some(Word::Text(text)), None) => text,
        };
        match text.to_lowercase().as_str() {
            "true" => Ok(Stored::Truth(true)),
            "false" => Ok(Stored::Truth(false)),
            word => (Entailment::ALL.into_iter())
                .find(|label| label.word() == word)
                .map(Stored::Entailment)
                .ok_or_else(|| {
                    format!(
                        "its label {text:?} is none of true, false, entailment, neutral and contradiction"
                    )
                }),
        }
    }

    fn object(&mut self, row: u32, boxed: &Boxed) -> Result<(), String> {
        let &[x, y, w, h] = boxed.bbox.as_slice() else {
            return Err("its bbox is not [x, y, width, height]".into());
        };
        let (labels, fixed) = (&mut self.labels, self.fixed);
        let mut number = |name: &str, attribute: bool| {
            let (names, number_of) = if attribute {
                (&mut labels.attributes, &mut self.attribute_of)
            } else {
                (&mut labels.classes, &mut self.class_of)
            };
            match number_of.get(name) {
                Some(&number) => Ok(number),
                None if fixed => Err(format!("unknown label {name:?}")),
                None if names.len() >= usize::from(u16::MAX) => Err("too many labels".to_owned()),
                None => {
                    number_of.insert(name.into(), names.len());
                    names.push(name.into());
                    Ok(names.len() - 1)
                }
            }
        };
        let object = Object {
            class: number(&boxed.label, false)?,
            bbox: [0.0; 4],
            attributes: (boxed.attributes.iter())
                .map(|name| number(name, true))
                .collect::<Result<_, _>>()?,
            crowd: boxed.crowd,
            area: 0.0,
        };
        let bbox = [x.0, y.0, w.0, h.0];
        self.builder.object(row, object, bbox, boxed.area)
    }
}
