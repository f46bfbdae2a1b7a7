use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{
    boxes::{clip_to_image, finite_sides},
    folders::Folders,
    images::Images,
    report::{ReadReport, trim_caption},
    row::{CocoIds, RecordId, Row, StoredLabel, StoredObject},
    source::FileSource,
    texts::{Groups, TextInterner, TextTable},
};
use crate::{AnnotatedObject, DataError, LabelSpace, Limits};

/// Builds a [`FileSource`] record by record.
pub(crate) struct SourceBuilder {
    pub(crate) name: String,
    pub(crate) folders: Folders,
    pub(crate) images: Images,
    pub(crate) rows: Vec<Row>,
    texts: TextTable,
    words: TextInterner,
    /// Pairs of row and text.
    captions: Vec<(u32, u32)>,
    objects: Vec<StoredObject>,
    /// Pairs of row and object.
    row_objects: Vec<(u32, u32)>,
    attributes: Vec<u16>,
    answers: Vec<u32>,
    pub(crate) report: ReadReport,
    /// Keys of skipped images; their captions and boxes are dropped without an entry of their own.
    pub(crate) skipped_images: HashSet<u64>,
}

impl SourceBuilder {
    pub(crate) fn new(name: String, folders: Folders, limits: &Limits) -> Self {
        let images = Images::in_folders(&folders, limits.clone());
        Self {
            folders,
            ..Self::with_images(name, images)
        }
    }

    /// A builder for images that are not in folders.
    pub(crate) fn with_images(name: String, images: Images) -> Self {
        Self {
            name,
            images,
            folders: Folders::default(),
            rows: Vec::new(),
            texts: TextTable::default(),
            words: TextInterner::default(),
            captions: Vec::new(),
            objects: Vec::new(),
            row_objects: Vec::new(),
            attributes: Vec::new(),
            answers: Vec::new(),
            report: ReadReport::default(),
            skipped_images: HashSet::new(),
        }
    }

    pub(crate) fn skip(
        &mut self,
        file: &Path,
        record: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.report.skip(&self.name, file, record, reason);
    }

    /// The first of the `candidates` that exists, as folder index and file, named as it is on disk.
    ///
    /// # Errors
    /// The paths that were searched for the first candidate.
    pub(crate) fn find(&mut self, candidates: &[String]) -> Result<(u16, String), String> {
        for file in candidates {
            if let Some(location) = self.folders.find(file) {
                return Ok(location);
            }
        }
        self.report.missing_images += 1;
        let first = candidates.first().map_or("", String::as_str);
        Err(self.folders.missing_message(first))
    }

    pub(crate) fn push_row(&mut self, row: Row) -> u32 {
        self.rows.push(row);
        (self.rows.len() - 1) as u32
    }

    /// Adds a caption to a row.
    ///
    /// # Errors
    /// As [`trim_caption`].
    pub(crate) fn push_caption(&mut self, row: u32, text: &str) -> Result<(), String> {
        match trim_caption(text) {
            Ok(text) => {
                let text = self.texts.push(text);
                self.captions.push((row, text));
                Ok(())
            }
            Err(reason) => {
                self.report.empty_captions += 1;
                Err(reason)
            }
        }
    }

    /// Adds an object to a row; its box is `bbox`, `[x, y, width, height]`. One without area inside the image is stored for
    /// scoring only.
    ///
    /// # Errors
    /// As [`clip_to_image`]; an unreadable image header; more attributes than the index can number.
    pub(crate) fn push_object(&mut self, row: u32, object: AnnotatedObject) -> Result<(), String> {
        let bbox = object.bbox;
        check_attributes(&object.attributes)?;
        let size = match self.rows.get(row as usize) {
            Some(row) => (self.images.measure(row.image)).map_err(|error| error.to_string())?,
            None => (0, 0),
        };
        let clipped = clip_to_image(bbox, size);
        if finite_sides(bbox).is_some() && bbox[2] >= 0.0 && bbox[3] >= 0.0 {
            self.row_objects.push((row, self.objects.len() as u32));
            let object = StoredObject::new(&object, clipped.is_ok(), &mut self.attributes);
            self.objects.push(object);
        }
        let (_, was_clipped) = clipped.inspect_err(|_| {
            self.report.empty_boxes += 1;
        })?;
        self.report.clipped_boxes += usize::from(was_clipped);
        Ok(())
    }

    /// A record id that is not a number.
    pub(crate) fn text_id(&mut self, text: &str) -> RecordId {
        RecordId::Text(self.texts.push(text))
    }

    /// The index of a text that occurs often.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        self.words.push(text)
    }

    /// A label of annotators' answers. Without `consensus` it is the most frequent answer, and the first of equally
    /// frequent ones.
    pub(crate) fn answers(&mut self, answers: &[String], consensus: Option<&str>) -> StoredLabel {
        let Some(first) = answers.first() else {
            return StoredLabel::None;
        };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for answer in answers {
            *counts.entry(answer).or_default() += 1;
        }
        let (mut max_count, mut most_frequent) = (0, first.as_str());
        for answer in answers {
            let count = counts[answer.as_str()];
            if count > max_count {
                (max_count, most_frequent) = (count, answer);
            }
        }
        let consensus = self.words.push(consensus.unwrap_or(most_frequent));
        let start = self.answers.len() as u32;
        for answer in answers.iter().take(usize::from(u16::MAX)) {
            let word = self.words.push(answer);
            self.answers.push(word);
        }
        let len = (self.answers.len() - start as usize) as u16;
        StoredLabel::Answers {
            start,
            len,
            consensus,
        }
    }

    /// Whether the numbers of all records fit into the index.
    ///
    /// # Errors
    /// [`DataError::TooMany`] if not.
    pub(crate) fn check_counts(&self) -> Result<(), DataError> {
        let counts = [
            ("samples", self.rows.len()),
            ("images", self.images.len()),
            ("texts", self.texts.len()),
            ("words", self.words.len()),
            ("objects", self.objects.len()),
            ("attributes of objects", self.attributes.len()),
            ("answers", self.answers.len()),
        ];
        check_counts(&self.name, &counts, u32::MAX as usize)
    }

    /// The source. Images without a caption are skipped as records of `file`.
    ///
    /// # Errors
    /// [`DataError::Format`] if all records are invalid, with the first reason; [`DataError::TooMany`] if their numbers do
    /// not fit into the index.
    pub(crate) fn finish(
        mut self,
        file: &Path,
        labels: LabelSpace,
        coco_ids: CocoIds,
    ) -> Result<FileSource, DataError> {
        self.check_counts()?;
        let new_rows = self.number_rows_with_captions(file);
        let len = new_rows.iter().flatten().count();
        if len == 0 && self.report.skipped > 0 {
            let first = self.report.skipped_records.first();
            let first = first.map_or_else(String::new, |first| {
                let name = file.display().to_string();
                let of_file = match first.file == name {
                    true => String::new(),
                    false => format!("{}: ", first.file),
                };
                format!("; the first: {of_file}{}: {}", first.record, first.reason)
            });
            return Err(DataError::Format {
                path: file.into(),
                reason: format!("all {} records are invalid{first}", self.report.skipped),
            });
        }
        let renumber = |pairs: Vec<(u32, u32)>| -> Vec<(u32, u32)> {
            let pairs = pairs
                .into_iter()
                .filter_map(|(row, item)| Some((new_rows[row as usize]?, item)));
            pairs.collect()
        };
        let (captions, row_objects) = (renumber(self.captions), renumber(self.row_objects));
        let mut rows = self.rows;
        let mut old_rows = new_rows.iter();
        rows.retain(|_| old_rows.next().is_some_and(Option::is_some));
        self.texts.shrink();
        rows.shrink_to_fit();
        self.objects.shrink_to_fit();
        self.attributes.shrink_to_fit();
        self.answers.shrink_to_fit();
        let mut report = self.report;
        let images: HashSet<u32> = rows.iter().map(|row| row.image).collect();
        report.samples = rows.len();
        report.images = images.len();
        report.captions = captions.len();
        let is_target = |&&(_, object): &&(u32, u32)| self.objects[object as usize].is_target();
        report.objects = row_objects.iter().filter(is_target).count();
        Ok(FileSource {
            searched: self.folders.searched(),
            captions: Groups::new(rows.len(), captions),
            row_objects: Groups::new(rows.len(), row_objects),
            name: self.name,
            labels,
            images: self.images,
            rows,
            texts: self.texts,
            objects: self.objects,
            attributes: self.attributes,
            words: self.words.finish(),
            answers: self.answers,
            coco_ids,
            block_starts: Vec::new(),
            report,
        })
    }

    /// The new index of every row that has a caption; skips the others.
    fn number_rows_with_captions(&mut self, file: &Path) -> Vec<Option<u32>> {
        let mut new_rows = vec![None; self.rows.len()];
        for &(row, _) in &self.captions {
            new_rows[row as usize] = Some(0);
        }
        let mut len = 0;
        for (row, new_row) in new_rows.iter_mut().enumerate() {
            match new_row {
                Some(new_row) => {
                    *new_row = len;
                    len += 1;
                }
                None => {
                    let record = format!("image {}", self.images.key(self.rows[row].image));
                    self.report
                        .skip(&self.name, file, record, "it has no caption");
                }
            }
        }
        new_rows
    }
}

/// Attributes and their number are stored in 16 bits.
fn check_attributes(attributes: &[usize]) -> Result<(), String> {
    let max = usize::from(u16::MAX);
    if attributes.len() > max {
        return Err(format!(
            "it has {} attributes, more than {max}",
            attributes.len()
        ));
    }
    match attributes.iter().find(|&&attribute| attribute > max) {
        Some(attribute) => Err(format!(
            "attribute number {attribute} of its label set, more than {max}"
        )),
        None => Ok(()),
    }
}

fn check_counts(name: &str, counts: &[(&'static str, usize)], max: usize) -> Result<(), DataError> {
    match counts.iter().find(|&&(_, count)| count > max) {
        Some(&(items, count)) => Err(DataError::TooMany {
            name: name.into(),
            items,
            count,
            max,
        }),
        None => Ok(()),
    }
}

/// Names of classes or attributes by their ids in a file.
#[derive(Default)]
pub(crate) struct NamesById {
    pub(crate) indices: HashMap<u64, usize>,
    pub(crate) names: Vec<String>,
    pub(crate) ids: Vec<u64>,
    /// The names as a set.
    taken: HashSet<String>,
}

impl NamesById {
    /// Adds a name; `false` if its id is already used. A name that another id already has gets its own id appended, because
    /// names identify classes in shards and in other files.
    pub(crate) fn push(&mut self, id: u64, mut name: String) -> bool {
        let is_new = !self.indices.contains_key(&id);
        if is_new {
            while !self.taken.insert(name.clone()) {
                name.push_str(&format!(" ({id})"));
            }
            self.indices.insert(id, self.names.len());
            self.names.push(name);
            self.ids.push(id);
        }
        is_new
    }
}

/// The name of a source in messages: its file's folder, and the file's name without extension.
pub(crate) fn source_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = file.parent().and_then(Path::file_name);
    match folder {
        Some(folder) => format!("{} {stem}", folder.to_string_lossy()),
        None => stem.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::check_counts;

    #[test]
    fn more_records_than_the_index_can_number_are_an_error() {
        let counts = [("samples", 7), ("texts", 8)];
        check_counts("set", &counts, 8).unwrap();
        let error = check_counts("set", &counts, 7).unwrap_err().to_string();
        assert!(
            error.starts_with("set: 8 texts, more than the 7"),
            "{error}"
        );
    }
}
