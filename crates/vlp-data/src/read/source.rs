use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    boxes::clip_to_image,
    folders::Listing,
    images::Images,
    report::ReadReport,
    row::{CocoIds, RecordId, Row, StoredLabel, StoredObject},
    texts::{Groups, TextTable},
};
use crate::{
    AnnotatedObject, DataError, EncodedImage, Label, LabelSpace, Object, Record, Sample, Source,
    hash::fnv1a,
};

/// Samples of annotation files: the result of every reader.
///
/// The index holds texts, boxes and labels in a few large allocations ([`index_bytes`](Self::index_bytes)). Images are
/// decoded on demand; sizes that the annotations lack are read from the image headers on first use.
#[derive(Serialize, Deserialize)]
pub struct FileSource {
    pub(crate) name: String,
    pub(crate) labels: LabelSpace,
    pub(crate) images: Images,
    pub(crate) rows: Vec<Row>,
    pub(crate) texts: TextTable,
    /// Texts of each row.
    pub(crate) captions: Groups,
    pub(crate) objects: Vec<StoredObject>,
    /// Objects of each row.
    pub(crate) row_objects: Groups,
    pub(crate) attributes: Vec<u16>,
    /// Answers and question types.
    pub(crate) words: TextTable,
    pub(crate) answers: Vec<u32>,
    pub(crate) coco_ids: CocoIds,
    /// First sample of each shard; empty for other files.
    pub(crate) block_starts: Vec<u32>,
    pub(crate) report: ReadReport,
    /// The folders searched for images; empty if the index was read from its cache.
    #[serde(skip)]
    pub(crate) searched: Vec<Listing>,
}

impl FileSource {
    /// Counts of what was read, corrected and skipped.
    pub fn report(&self) -> &ReadReport {
        &self.report
    }

    /// Memory of the index in bytes; images are not in memory.
    pub fn index_bytes(&self) -> usize {
        self.images.memory_bytes()
            + self.texts.memory_bytes()
            + self.captions.memory_bytes()
            + self.row_objects.memory_bytes()
            + self.words.memory_bytes()
            + self.rows.capacity() * size_of::<Row>()
            + self.objects.capacity() * size_of::<StoredObject>()
            + self.attributes.capacity() * size_of::<u16>()
            + self.answers.capacity() * size_of::<u32>()
    }

    /// Whether any sample has answers.
    pub(crate) fn has_answers(&self) -> bool {
        let mut labels = self.rows.iter().map(|row| row.label);
        labels.any(|label| matches!(label, StoredLabel::Answers { .. }))
    }

    /// Whether any image has a COCO id.
    pub(crate) fn has_coco_ids(&self) -> bool {
        !matches!(self.coco_ids, CocoIds::Unknown)
    }

    /// Whether every stored index is in range; if not, a cached index is damaged.
    pub(crate) fn is_consistent(&self) -> bool {
        let rows = self.rows.len();
        let (images, words) = (self.images.len() as u32, self.words.len() as u32);
        let in_range =
            |start: u32, len: u16, total: usize| start as usize + usize::from(len) <= total;
        let row_is_consistent = |row: &Row| {
            row.image < images
                && row.second_image.is_none_or(|second| second < images)
                && row.question_type.is_none_or(|word| word < words)
                && !matches!(row.record, Some(RecordId::Text(text)) if text as usize >= self.texts.len())
                && match row.label {
                    StoredLabel::Answers {
                        start,
                        len,
                        consensus,
                    } => consensus < words && in_range(start, len, self.answers.len()),
                    _ => true,
                }
        };
        let object_is_consistent = |object: &StoredObject| {
            (object.class as usize) < self.labels.classes.len()
                && in_range(object.start, object.len, self.attributes.len())
        };
        self.images.is_consistent()
            && self.texts.is_consistent()
            && self.words.is_consistent()
            && self.captions.is_consistent(rows, self.texts.len())
            && self.row_objects.is_consistent(rows, self.objects.len())
            && self.rows.iter().all(row_is_consistent)
            && self.objects.iter().all(object_is_consistent)
            && self.answers.iter().all(|&word| word < words)
            && self
                .attributes
                .iter()
                .all(|&name| usize::from(name) < self.labels.attributes.len())
            && self.block_starts.is_sorted_by(|start, next| start < next)
            && self.block_starts.first().is_none_or(|&start| start == 0)
            && self
                .block_starts
                .last()
                .is_none_or(|&start| (start as usize) < rows)
    }

    /// VQA's `multiple_choice_answer`, the most frequent answer, of which the answer vocabulary is built; `None` without
    /// answers.
    pub fn consensus(&self, index: usize) -> Option<&str> {
        match self.rows.get(index)?.label {
            StoredLabel::Answers { consensus, .. } => Some(self.words.get(consensus)),
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
        let texts = self.captions.get(index).iter();
        texts.map(|&text| self.texts.get(text).to_owned()).collect()
    }

    fn annotated_object(&self, object: &StoredObject) -> AnnotatedObject {
        let start = object.start as usize;
        let attributes = &self.attributes[start..start + usize::from(object.len)];
        AnnotatedObject {
            class: object.class as usize,
            bbox: object.bbox,
            attributes: attributes.iter().map(|&a| usize::from(a)).collect(),
            crowd: object.crowd,
            area: object.area,
        }
    }

    /// The object as a training target in an image of this size.
    fn target(&self, object: &StoredObject, size: (usize, usize)) -> Option<Object> {
        if !object.is_target() {
            return None;
        }
        let (bbox, _) = clip_to_image(object.bbox, size).ok()?;
        let object = self.annotated_object(object);
        Some(Object {
            class: object.class,
            bbox: bbox.map(|side| side as f32),
            attributes: object.attributes,
            crowd: object.crowd,
            area: object.area as f32,
        })
    }

    fn stored_objects(&self, row: usize) -> impl Iterator<Item = &StoredObject> {
        let objects = self.row_objects.get(row).iter();
        objects.filter_map(|&index| self.objects.get(index as usize))
    }

    fn row_label(&self, row: &Row) -> Option<Label> {
        match row.label {
            StoredLabel::None => None,
            StoredLabel::Truth(truth) => Some(Label::Truth(truth)),
            StoredLabel::Entailment(entailment) => Some(Label::Entailment(entailment)),
            StoredLabel::Answers { start, len, .. } => {
                let start = start as usize;
                let answers = self.answers[start..start + usize::from(len)].iter();
                let answers = answers.map(|&word| self.words.get(word).to_owned());
                Some(Label::Answers(answers.collect()))
            }
        }
    }

    fn row_record(&self, row: &Row) -> Option<Record> {
        let id = match row.record? {
            RecordId::Number(id) => id.to_string(),
            RecordId::Text(text) => self.texts.get(text).to_owned(),
        };
        let question_type = row.question_type.map(|word| self.words.get(word));
        Some(Record {
            id,
            question_type: question_type.map(str::to_owned),
            answer_type: row.answer_type,
        })
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource")
            .field("name", &self.name)
            .field("report", &self.report)
            .finish_non_exhaustive()
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
        let row = self.rows.get(index);
        row.map_or(0, |row| self.images.key(row.image))
    }

    fn size(&self, index: usize) -> (usize, usize) {
        let row = self.rows.get(index);
        row.map_or((0, 0), |row| self.images.size(row.image))
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        self.row(index).map(|_| self.texts(index))
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        Ok(self.row_label(self.row(index)?))
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        let row = self.row(index)?;
        let objects = || {
            let size = self.images.size(row.image);
            let objects = self.stored_objects(index);
            objects
                .filter_map(|object| self.target(object, size))
                .collect()
        };
        Ok(row.has_boxes.then(objects))
    }

    fn annotated_objects(&self, index: usize) -> Result<Option<Vec<AnnotatedObject>>, DataError> {
        let row = self.row(index)?;
        let objects = || {
            let objects = self.stored_objects(index);
            objects
                .map(|object| self.annotated_object(object))
                .collect()
        };
        Ok(row.has_boxes.then(objects))
    }

    fn file_key(&self, index: usize) -> u64 {
        let Some(row) = self.rows.get(index) else {
            return 0;
        };
        let files = [Some(row.image), row.second_image];
        let keys = files
            .into_iter()
            .flatten()
            .map(|image| self.images.file_key(image));
        fnv1a(keys.flat_map(u64::to_le_bytes))
    }

    fn coco_id(&self, index: usize) -> Option<u64> {
        self.rows.get(index)?;
        match &self.coco_ids {
            CocoIds::Unknown => None,
            CocoIds::Keys => Some(self.key(index)),
            CocoIds::ByKey(ids) => ids.get(&self.key(index)).copied(),
        }
    }

    fn encoded_image(&self, index: usize) -> Result<Option<EncodedImage>, DataError> {
        let row = self.row(index)?;
        let image = self.images.encoded(row.image)?;
        let second_image = row.second_image.map(|second| self.images.encoded(second));
        Ok(Some(EncodedImage {
            image,
            second_image: second_image.transpose()?,
            annotated_size: self.images.annotated_size(row.image),
            consensus: self.consensus(index).map(str::to_owned),
        }))
    }

    fn block_starts(&self) -> Vec<usize> {
        self.block_starts
            .iter()
            .map(|&start| start as usize)
            .collect()
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let row = self.row(index)?;
        let image = self.images.load(row.image)?;
        let second_image = row.second_image.map(|second| self.images.load(second));
        Ok(Sample {
            key: self.images.key(row.image),
            name: self.images.file(row.image).to_owned(),
            image,
            second_image: second_image.transpose()?,
            captions: self.texts(index),
            objects: self.objects(index)?,
            label: self.row_label(row),
            record: self.row_record(row),
        })
    }
}
