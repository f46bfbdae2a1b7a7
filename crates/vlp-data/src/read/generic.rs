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
struct Line {
    image: String,
    image2: Option<String>,
    image_id: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(alias = "captions", alias = "question", alias = "text")]
    caption: Many,
    boxes: Option<Vec<Boxed>>,
    #[serde(alias = "answer")]
    answers: Option<Many>,
    answer_type: Option<AnswerType>,
    question_type: Option<String>,
    label: Option<Word>,
    #[serde(alias = "question_id")]
    id: Option<Name>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Many {
    One(String),
    All(Vec<String>),
}

impl Many {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
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
    let builder = Builder::new(name.clone(), Folders::new(vec![folder])?, &options.limits);
    let mut reading = Reading {
        builder,
        fixed: options.labels.is_some(),
        labels: options.labels.unwrap_or_else(|| LabelSpace {
            name,
            ..LabelSpace::default()
        }),
        class_of: HashMap::new(),
        attribute_of: HashMap::new(),
        pictures: HashMap::new(),
        ids: HashSet::new(),
    };
    let numbered = |names: &[String]| names.iter().cloned().zip(0..).collect();
    reading.class_of = numbered(&reading.labels.classes);
    reading.attribute_of = numbered(&reading.labels.attributes);
    list_or_lines(file, |raw| {
        if let Err(reason) = reading.line(file, &raw) {
            let record = format!("record {}", raw.number);
            reading.builder.fault(file, record, reason);
        }
    })?;
    reading
        .builder
        .finish(file, reading.labels, CocoIds::Unknown)
}

struct Reading {
    builder: Builder,
    /// Whether names may not be added.
    fixed: bool,
    labels: LabelSpace,
    class_of: HashMap<String, usize>,
    attribute_of: HashMap<String, usize>,
    /// By file, with the size that the first record of it gave.
    pictures: HashMap<String, u32>,
    ids: HashSet<u64>,
}

impl Reading {
    fn line(&mut self, file: &Path, raw: &Raw<'_>) -> Result<(), String> {
        let line: Line = raw.parse()?;
        let size = match (line.width, line.height) {
            (None, None) => None,
            (Some(width), Some(height)) if width > 0 && height > 0 => Some((width, height)),
            _ => return Err("width and height must both be above 0, or both be missing".into()),
        };
        let label = self.label(line.label, line.answers)?;
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
        let key = line.image_id.unwrap_or_else(|| fnv(line.image.bytes()));
        let picture = self.picture(&line.image, key, size)?;
        let second = line.image2.map(|image| {
            let key = fnv(image.bytes());
            self.picture(&image, key, None)
        });
        let builder = &mut self.builder;
        let row = Row {
            second: second.transpose()?,
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
                let record = format!("record {}, caption {}", raw.number, number + 1);
                builder.fault(file, record, reason);
            }
        }
        for (number, boxed) in line.boxes.into_iter().flatten().enumerate() {
            if let Err(reason) = self.object(row, &boxed) {
                let record = format!("record {}, box {}", raw.number, number + 1);
                self.builder.fault(file, record, reason);
            }
        }
        Ok(())
    }

    fn picture(&mut self, image: &str, key: u64, size: Option<(u32, u32)>) -> Result<u32, String> {
        if let Some(&picture) = self.pictures.get(image) {
            return Ok(picture);
        }
        let (root, file) = self.builder.find(&[image.to_owned()])?;
        let picture = self.builder.pictures.push(key, root, &file, size);
        self.pictures.insert(image.to_owned(), picture);
        Ok(picture)
    }

    fn label(&mut self, label: Option<Word>, answers: Option<Many>) -> Result<Stored, String> {
        let text = match (label, answers) {
            (None, None) => return Ok(Stored::None),
            (Some(_), Some(_)) => return Err("it has both label and answers".into()),
            (None, Some(answers)) => {
                let mut answers = answers.list();
                if answers.is_empty() {
                    return Err("it has no answers".into());
                }
                if answers.len() == 1 {
                    // Soft scores count ten annotators.
                    answers = vec![answers.swap_remove(0); 10];
                }
                return Ok(self.builder.answers(&answers, None));
            }
            (Some(Word::Truth(truth)), None) => return Ok(Stored::Truth(truth)),
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
            crowd: false,
            area: 0.0,
        };
        let bbox = [x.0, y.0, w.0, h.0];
        self.builder.object(row, object, bbox, None)
    }
}
