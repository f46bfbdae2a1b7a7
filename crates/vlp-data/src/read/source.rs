use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    pictures::Pictures,
    report::ReadReport,
    texts::{Groups, Texts},
};
use crate::{
    AnswerType, DataError, Encoded, Entailment, Label, LabelSpace, Object, Record, Sample, Source,
};

/// Samples of annotation files: what every reader makes.
///
/// The index holds texts, boxes and labels in a few large pieces of memory ([`index_bytes`](Self::index_bytes));
/// pictures are decoded when they are asked for. Sizes that the annotations do not give are read from the pictures'
/// first bytes when they are first asked for.
#[derive(Serialize, Deserialize)]
pub struct FileSource {
    pub(crate) name: String,
    pub(crate) labels: LabelSpace,
    pub(crate) pictures: Pictures,
    pub(crate) rows: Vec<Row>,
    pub(crate) texts: Texts,
    pub(crate) captions: Groups,
    pub(crate) boxes: Vec<Boxed>,
    pub(crate) boxes_of: Groups,
    pub(crate) attributes: Vec<u16>,
    /// Answers and question types, each different one once.
    pub(crate) words: Texts,
    pub(crate) answers: Vec<u32>,
    pub(crate) coco: CocoIds,
    /// The file's ids of the classes, where they have any.
    pub(crate) class_ids: Vec<u64>,
    /// First samples of the shards; none in files.
    pub(crate) blocks: Vec<u32>,
    pub(crate) report: ReadReport,
}

/// One sample.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) picture: u32,
    pub(crate) second: Option<u32>,
    /// Whether boxes are annotated, be it none.
    pub(crate) boxed: bool,
    pub(crate) label: Stored,
    pub(crate) record: Option<Id>,
    pub(crate) question_type: Option<u32>,
    pub(crate) answer_type: Option<AnswerType>,
}

impl Row {
    pub(crate) fn new(picture: u32) -> Self {
        Self {
            picture,
            second: None,
            boxed: false,
            label: Stored::None,
            record: None,
            question_type: None,
            answer_type: None,
        }
    }
}

/// A record's id.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Id {
    Number(u64),
    Text(u32),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Stored {
    None,
    Truth(bool),
    Entailment(Entailment),
    /// `answers[start..start + len]`, and the consensus.
    Answers {
        start: u32,
        len: u16,
        consensus: u32,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Boxed {
    class: u32,
    bbox: [f32; 4],
    area: f32,
    /// `attributes[start..start + len]`.
    start: u32,
    len: u16,
    crowd: bool,
}

impl Boxed {
    /// Stores an object, its attributes at the end of `attributes`.
    pub(crate) fn new(object: &Object, attributes: &mut Vec<u16>) -> Self {
        let start = attributes.len() as u32;
        attributes.extend(object.attributes.iter().map(|&a| a as u16));
        Self {
            class: object.class as u32,
            bbox: object.bbox,
            area: object.area,
            start,
            len: object.attributes.len() as u16,
            crowd: object.crowd,
        }
    }
}

/// How COCO's ids of the images are known.
#[derive(Serialize, Deserialize)]
pub(crate) enum CocoIds {
    Unknown,
    /// They are the keys.
    Keys,
    /// By key.
    Some(HashMap<u64, u64>),
}

impl FileSource {
    /// What was read, mended and left out.
    pub fn report(&self) -> &ReadReport {
        &self.report
    }

    /// Bytes of memory that the index takes; pictures are not held.
    pub fn index_bytes(&self) -> usize {
        self.pictures.bytes()
            + self.texts.bytes()
            + self.captions.bytes()
            + self.boxes_of.bytes()
            + self.words.bytes()
            + self.rows.capacity() * size_of::<Row>()
            + self.boxes.capacity() * size_of::<Boxed>()
            + self.attributes.capacity() * size_of::<u16>()
            + self.answers.capacity() * size_of::<u32>()
    }

    /// Whether every number points at something: else an index read from a file is not used.
    pub(crate) fn sound(&self) -> bool {
        let rows = self.rows.len();
        let (pictures, words) = (self.pictures.len() as u32, self.words.len() as u32);
        let within = |start: u32, len: u16, of: usize| start as usize + usize::from(len) <= of;
        let row = |row: &Row| {
            row.picture < pictures
                && row.second.is_none_or(|second| second < pictures)
                && row.question_type.is_none_or(|word| word < words)
                && match row.label {
                    Stored::Answers {
                        start,
                        len,
                        consensus,
                    } => consensus < words && within(start, len, self.answers.len()),
                    _ => true,
                }
        };
        let boxed = |boxed: &Boxed| {
            (boxed.class as usize) < self.labels.classes.len()
                && within(boxed.start, boxed.len, self.attributes.len())
        };
        self.pictures.sound()
            && self.texts.sound()
            && self.words.sound()
            && self.captions.sound(rows, self.texts.len())
            && self.boxes_of.sound(rows, self.boxes.len())
            && self.rows.iter().all(row)
            && self.boxes.iter().all(boxed)
            && self.answers.iter().all(|&word| word < words)
            && self.blocks.is_sorted()
    }

    /// VQA's `multiple_choice_answer`, which the vocabulary of answers is built from: the most frequent answer. `None`
    /// without answers.
    pub fn consensus(&self, index: usize) -> Option<&str> {
        match self.rows.get(index)?.label {
            Stored::Answers { consensus, .. } => Some(self.words.get(consensus)),
            _ => None,
        }
    }

    fn row(&self, index: usize) -> Result<&Row, DataError> {
        self.rows.get(index).ok_or_else(|| DataError::Index {
            name: self.name.clone(),
            index,
            len: self.rows.len(),
        })
    }

    fn texts(&self, index: usize) -> Vec<String> {
        let numbers = self.captions.get(index).iter();
        numbers
            .map(|&number| self.texts.get(number).to_owned())
            .collect()
    }

    fn object(&self, at: u32) -> Option<Object> {
        let boxed = self.boxes.get(at as usize)?;
        let start = boxed.start as usize;
        let attributes = &self.attributes[start..start + usize::from(boxed.len)];
        Some(Object {
            class: boxed.class as usize,
            bbox: boxed.bbox,
            attributes: attributes.iter().map(|&a| usize::from(a)).collect(),
            crowd: boxed.crowd,
            area: boxed.area,
        })
    }

    fn stored(&self, row: &Row) -> Option<Label> {
        match row.label {
            Stored::None => None,
            Stored::Truth(truth) => Some(Label::Truth(truth)),
            Stored::Entailment(label) => Some(Label::Entailment(label)),
            Stored::Answers { start, len, .. } => {
                let start = start as usize;
                let answers = self.answers[start..start + usize::from(len)].iter();
                Some(Label::Answers(
                    answers
                        .map(|&word| self.words.get(word).to_owned())
                        .collect(),
                ))
            }
        }
    }

    fn record(&self, row: &Row) -> Option<Record> {
        let id = match row.record? {
            Id::Number(id) => id.to_string(),
            Id::Text(at) => self.texts.get(at).to_owned(),
        };
        Some(Record {
            id,
            question_type: row.question_type.map(|at| self.words.get(at).to_owned()),
            answer_type: row.answer_type,
        })
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        self.rows
            .get(index)
            .map_or(0, |row| self.pictures.key(row.picture))
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.rows
            .get(index)
            .map_or((0, 0), |row| self.pictures.size(row.picture))
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        self.row(index).map(|_| self.texts(index))
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        Ok(self.stored(self.row(index)?))
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        let row = self.row(index)?;
        let boxes = || {
            let numbers = self.boxes_of.get(index).iter();
            numbers.filter_map(|&at| self.object(at)).collect()
        };
        Ok(row.boxed.then(boxes))
    }

    fn coco_id(&self, index: usize) -> Option<u64> {
        self.rows.get(index)?;
        match &self.coco {
            CocoIds::Unknown => None,
            CocoIds::Keys => Some(self.key(index)),
            CocoIds::Some(ids) => ids.get(&self.key(index)).copied(),
        }
    }

    fn encoded(&self, index: usize) -> Result<Option<Encoded>, DataError> {
        let row = self.row(index)?;
        let second = row.second.map(|second| self.pictures.encoded(second));
        Ok(Some(Encoded {
            picture: self.pictures.encoded(row.picture)?,
            second: second.transpose()?,
            annotated: self.pictures.annotated(row.picture),
            consensus: self.consensus(index).map(str::to_owned),
        }))
    }

    fn blocks(&self) -> Vec<usize> {
        self.blocks.iter().map(|&block| block as usize).collect()
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let row = self.row(index)?;
        Ok(Sample {
            key: self.pictures.key(row.picture),
            name: self.pictures.file(row.picture).to_owned(),
            picture: self.pictures.load(row.picture)?,
            second: row
                .second
                .map(|second| self.pictures.load(second))
                .transpose()?,
            captions: self.texts(index),
            objects: self.objects(index)?,
            label: self.stored(row),
            record: self.record(row),
        })
    }
}
