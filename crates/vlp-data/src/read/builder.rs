use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{
    boxes,
    pictures::{Folders, Pictures},
    report::{self, ReadReport},
    source::{Boxed, CocoIds, FileSource, Id, Row, Stored},
    texts::{Groups, Interned, Texts},
};
use crate::{DataError, LabelSpace, Limits, Object};

/// A [`FileSource`] in the making.
pub(crate) struct Builder {
    pub(crate) name: String,
    pub(crate) folders: Folders,
    pub(crate) pictures: Pictures,
    pub(crate) rows: Vec<Row>,
    texts: Texts,
    words: Interned,
    captions: Vec<(u32, u32)>,
    boxes: Vec<Boxed>,
    boxes_of: Vec<(u32, u32)>,
    attributes: Vec<u16>,
    answers: Vec<u32>,
    pub(crate) report: ReadReport,
    /// Keys of images left out: their records are no faults of their own.
    pub(crate) gone: HashSet<u64>,
}

impl Builder {
    pub(crate) fn new(name: String, folders: Folders, limits: &Limits) -> Self {
        let pictures = Pictures::new(&folders, limits.clone());
        Self {
            folders,
            ..Self::of(name, pictures)
        }
    }

    /// Of pictures that are in no folders.
    pub(crate) fn of(name: String, pictures: Pictures) -> Self {
        Self {
            name,
            pictures,
            folders: Folders::default(),
            rows: Vec::new(),
            texts: Texts::default(),
            words: Interned::default(),
            captions: Vec::new(),
            boxes: Vec::new(),
            boxes_of: Vec::new(),
            attributes: Vec::new(),
            answers: Vec::new(),
            report: ReadReport::default(),
            gone: HashSet::new(),
        }
    }

    pub(crate) fn fault(
        &mut self,
        file: &Path,
        record: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.report.fault(&self.name, file, record, reason);
    }

    /// A picture that is there, or a reason of the first of `candidates` that says where it was looked for.
    pub(crate) fn find(&mut self, candidates: &[String]) -> Result<(u16, String), String> {
        for file in candidates {
            if let Some(root) = self.folders.find(file) {
                return Ok((root, file.clone()));
            }
        }
        self.report.missing_pictures += 1;
        let first = candidates.first().map_or("", String::as_str);
        Err(self.folders.missing(first))
    }

    pub(crate) fn row(&mut self, row: Row) -> u32 {
        self.rows.push(row);
        (self.rows.len() - 1) as u32
    }

    /// Adds a caption to a row; the reason where it is none.
    pub(crate) fn caption(&mut self, row: u32, text: &str) -> Result<(), String> {
        match report::caption(text) {
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

    /// Adds an object with a box of `[x, y, width, height]` to a row; the reason where the box is none.
    pub(crate) fn object(
        &mut self,
        row: u32,
        mut object: Object,
        bbox: [f64; 4],
        area: Option<f64>,
    ) -> Result<(), String> {
        let size = self
            .rows
            .get(row as usize)
            .map_or((0, 0), |row| self.pictures.size(row.picture));
        let ([x0, y0, x1, y1], clipped) = boxes::inside(bbox, size).inspect_err(|_| {
            self.report.empty_boxes += 1;
        })?;
        self.report.clipped_boxes += usize::from(clipped);
        object.bbox = [x0, y0, x1, y1].map(|side| side as f32);
        object.area = area
            .filter(|area| area.is_finite())
            .unwrap_or((x1 - x0) * (y1 - y0)) as f32;
        self.boxes_of.push((row, self.boxes.len() as u32));
        self.boxes.push(Boxed::new(&object, &mut self.attributes));
        Ok(())
    }

    /// A record's id of letters.
    pub(crate) fn id(&mut self, text: &str) -> Id {
        Id::Text(self.texts.push(text))
    }

    /// A word that occurs often.
    pub(crate) fn word(&mut self, text: &str) -> u32 {
        self.words.push(text)
    }

    /// A label of annotators' answers; without `consensus` it is the most frequent answer, of several the first.
    pub(crate) fn answers(&mut self, answers: &[String], consensus: Option<&str>) -> Stored {
        let Some(first) = answers.first() else {
            return Stored::None;
        };
        let mut most = (0, first.as_str());
        for answer in answers {
            let count = answers.iter().filter(|other| *other == answer).count();
            if count > most.0 {
                most = (count, answer);
            }
        }
        let consensus = self.words.push(consensus.unwrap_or(most.1));
        let start = self.answers.len() as u32;
        for answer in answers.iter().take(usize::from(u16::MAX)) {
            let word = self.words.push(answer);
            self.answers.push(word);
        }
        let len = (self.answers.len() - start as usize) as u16;
        Stored::Answers {
            start,
            len,
            consensus,
        }
    }

    /// The source. Images without a caption are faults of `file`.
    ///
    /// # Errors
    /// [`DataError::Format`] where records were read and every one of them was wrong, with the first reason.
    pub(crate) fn finish(
        mut self,
        file: &Path,
        labels: LabelSpace,
        coco: CocoIds,
    ) -> Result<FileSource, DataError> {
        let mut number = vec![None; self.rows.len()];
        for &(row, _) in &self.captions {
            number[row as usize] = Some(0);
        }
        let mut kept = 0;
        for (row, number) in number.iter_mut().enumerate() {
            match number {
                Some(number) => {
                    *number = kept;
                    kept += 1;
                }
                None => {
                    let key = self.pictures.key(self.rows[row].picture);
                    self.report.fault(
                        &self.name,
                        file,
                        format!("image {key}"),
                        "it has no caption",
                    );
                }
            }
        }
        if kept == 0 && self.report.left_out > 0 {
            let first = self
                .report
                .faults
                .first()
                .map_or_else(String::new, |fault| {
                    format!("; the first: {}: {}", fault.record, fault.reason)
                });
            return Err(DataError::Format {
                path: file.into(),
                reason: format!("all of {} records are wrong{first}", self.report.left_out),
            });
        }
        let moved = |pairs: Vec<(u32, u32)>| -> Vec<(u32, u32)> {
            let moved = pairs
                .into_iter()
                .filter_map(|(row, item)| Some((number[row as usize]?, item)));
            moved.collect()
        };
        let (captions, boxes_of) = (moved(self.captions), moved(self.boxes_of));
        let mut rows = self.rows;
        let mut at = 0..;
        rows.retain(|_| at.next().is_some_and(|row: usize| number[row].is_some()));
        self.texts.shrink();
        rows.shrink_to_fit();
        self.boxes.shrink_to_fit();
        self.attributes.shrink_to_fit();
        self.answers.shrink_to_fit();
        let mut report = self.report;
        let images: HashSet<u32> = rows.iter().map(|row| row.picture).collect();
        report.samples = rows.len();
        report.images = images.len();
        report.captions = captions.len();
        report.objects = boxes_of.len();
        Ok(FileSource {
            captions: Groups::new(rows.len(), captions),
            boxes_of: Groups::new(rows.len(), boxes_of),
            name: self.name,
            labels,
            pictures: self.pictures,
            rows,
            texts: self.texts,
            boxes: self.boxes,
            attributes: self.attributes,
            words: self.words.finish(),
            answers: self.answers,
            coco,
            class_ids: Vec::new(),
            blocks: Vec::new(),
            report,
        })
    }
}

/// Names of classes or attributes by their ids in a file.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) number_of: HashMap<u64, usize>,
    pub(crate) names: Vec<String>,
    pub(crate) ids: Vec<u64>,
}

impl Names {
    /// Takes the next name; `false` where its id is taken.
    pub(crate) fn push(&mut self, id: u64, name: String) -> bool {
        let new = !self.number_of.contains_key(&id);
        if new {
            self.number_of.insert(id, self.names.len());
            self.names.push(name);
            self.ids.push(id);
        }
        new
    }
}

/// The name of a source in messages: its file's folder and name without extension.
pub(crate) fn name_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = file.parent().and_then(Path::file_name);
    match folder {
        Some(folder) => format!("{} {stem}", folder.to_string_lossy()),
        None => stem.into_owned(),
    }
}
