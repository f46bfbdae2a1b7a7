use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    builder::{SourceBuilder, source_name},
    folders::{Folders, NumberedFile, image_folders, splits},
    records::{RawRecord, lists},
    report::trim_caption,
    row::{CocoIds, RecordId, Row, StoredLabel},
    source::FileSource,
};
use crate::{AnswerType, DataError, LabelSpace, Limits};

/// VQA v2's files of one split, or of several that are read as one set (such as train and val for a test submission).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VqaFiles {
    /// `v2_OpenEnded_mscoco_SPLIT_questions.json`, at least one.
    pub questions: Vec<PathBuf>,
    /// `v2_mscoco_SPLIT_annotations.json`; none for test splits, which have no labels.
    pub annotations: Vec<PathBuf>,
    /// Folders of images whose names end in the image id, such as `COCO_train2014_000000000009.jpg`.
    pub images: Vec<PathBuf>,
}

impl VqaFiles {
    /// Finds the files of a split in `dir`, such as `train2014` or `test-dev2015`, and its images in `SPLIT`,
    /// `images/SPLIT`, `images` or `../SPLIT`. The images of a `test-dev` split are those of the `test` split.
    ///
    /// # Errors
    /// [`DataError::Missing`] with what was searched for.
    pub fn find(dir: impl AsRef<Path>, split: &str) -> Result<Self, DataError> {
        Self::find_with_images(dir, split, None)
    }

    /// As [`find`](Self::find), with images first searched in `images/SPLIT` and `images`.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_with_images(
        dir: impl AsRef<Path>,
        split: &str,
        images: Option<&Path>,
    ) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        let questions = dir.join(format!("v2_OpenEnded_mscoco_{split}_questions.json"));
        if !questions.is_file() {
            let splits = Self::splits(dir)?.join(", ");
            return Err(DataError::Missing {
                path: questions,
                reason: format!("no such file; available splits: [{splits}]"),
            });
        }
        let annotations = dir.join(format!("v2_mscoco_{split}_annotations.json"));
        let split = split.replace("test-dev", "test");
        let siblings = [dir.join(&split), dir.join("..").join(&split)];
        let images = image_folders(dir, &split, images, &siblings).ok_or_else(|| {
            let reason = format!(
                "no folder of images: neither {split}, images/{split}, images nor ../{split}"
            );
            DataError::Missing {
                path: dir.into(),
                reason,
            }
        })?;
        let annotations = annotations.is_file().then_some(annotations);
        Ok(Self {
            questions: vec![questions],
            annotations: annotations.into_iter().collect(),
            images,
        })
    }

    /// The splits in `dir`, sorted: those with a `v2_OpenEnded_mscoco_SPLIT_questions.json`.
    ///
    /// # Errors
    /// [`DataError::Io`] if the folder cannot be listed.
    pub fn splits(dir: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
        splits(dir.as_ref(), "v2_OpenEnded_mscoco_", "_questions.json")
    }
}

#[derive(Deserialize)]
struct Question {
    question_id: Option<u64>,
    image_id: Option<u64>,
    question: Option<String>,
}

#[derive(Deserialize)]
struct AnnotationRecord {
    question_id: Option<u64>,
    image_id: Option<u64>,
    question_type: Option<String>,
    answer_type: Option<AnswerType>,
    multiple_choice_answer: Option<String>,
    #[serde(default)]
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    answer: String,
}

/// Reads VQA v2: one sample per question, in the files' order. The caption is the question, the label the raw answers, the
/// record the `question_id` with question and answer type, and the key the `image_id`. If there are annotation files,
/// questions without an annotation are skipped.
///
/// # Errors
/// If a file is missing or has another format, or no question is valid.
pub fn vqa(files: &VqaFiles, limits: &Limits) -> Result<FileSource, DataError> {
    let Some(first) = files.questions.first() else {
        return Err(DataError::Config {
            field: "VqaFiles.questions",
            reason: "it is empty; at least one file is needed".into(),
        });
    };
    let mut folders = Folders::new(files.images.clone())?;
    let image_files = folders.by_number();
    let mut reader = VqaReader {
        builder: SourceBuilder::new(source_name(first), folders, limits),
        images: HashMap::new(),
        question_ids: HashSet::new(),
        annotations: HashMap::new(),
    };
    for path in &files.annotations {
        lists(path, &["annotations"], &[], |_, record| {
            reader.add_annotation(path, &record);
        })?;
    }
    let labeled = !files.annotations.is_empty();
    for path in &files.questions {
        lists(path, &["questions"], &[], |_, record| {
            reader.add_question(path, &record, &image_files, labeled);
        })?;
    }
    if let Some(path) = files.annotations.last() {
        let mut unused: Vec<u64> = reader.annotations.keys().copied().collect();
        unused.retain(|id| !reader.question_ids.contains(id));
        unused.sort_unstable();
        for id in unused {
            let record = format!("annotation of question {id}");
            reader
                .builder
                .skip(path, record, "there is no such question");
        }
    }
    reader
        .builder
        .finish(first, LabelSpace::default(), CocoIds::Keys)
}

struct VqaReader {
    builder: SourceBuilder,
    /// Image indices by image id.
    images: HashMap<u64, u32>,
    question_ids: HashSet<u64>,
    /// By question id.
    annotations: HashMap<u64, Annotation>,
}

#[derive(Clone, Copy)]
struct Annotation {
    image_id: Option<u64>,
    label: StoredLabel,
    question_type: Option<u32>,
    answer_type: Option<AnswerType>,
}

impl VqaReader {
    fn add_annotation(&mut self, path: &Path, record: &RawRecord<'_>) {
        let builder = &mut self.builder;
        let number = || format!("annotation number {}", record.number);
        let annotation = match record.parse::<AnnotationRecord>() {
            Ok(annotation) => annotation,
            Err(reason) => return builder.skip(path, number(), reason),
        };
        let Some(id) = annotation.question_id else {
            return builder.skip(path, number(), "it lacks question_id");
        };
        let name = format!("annotation of question {id}");
        if self.annotations.contains_key(&id) {
            return builder.skip(path, name, "its question_id occurs twice");
        }
        if annotation.answers.is_empty() {
            return builder.skip(path, name, "it has no answers");
        }
        let answers = annotation.answers.into_iter().map(|answer| answer.answer);
        let answers: Vec<String> = answers.collect();
        let consensus = annotation.multiple_choice_answer.as_deref();
        let label = builder.answers(&answers, consensus);
        let question_type = annotation.question_type.filter(|text| !text.is_empty());
        let annotation = Annotation {
            image_id: annotation.image_id,
            label,
            question_type: question_type.map(|text| builder.intern(&text)),
            answer_type: annotation.answer_type,
        };
        self.annotations.insert(id, annotation);
    }

    fn add_question(
        &mut self,
        path: &Path,
        record: &RawRecord<'_>,
        image_files: &HashMap<u64, NumberedFile>,
        labeled: bool,
    ) {
        let builder = &mut self.builder;
        let number = || format!("question number {}", record.number);
        let question = match record.parse::<Question>() {
            Ok(question) => question,
            Err(reason) => return builder.skip(path, number(), reason),
        };
        let Question {
            question_id: Some(id),
            image_id: Some(image_id),
            question: Some(text),
        } = question
        else {
            let reason = "it lacks question_id, image_id or question";
            return builder.skip(path, number(), reason);
        };
        let name = format!("question {id}");
        if !self.question_ids.insert(id) {
            return builder.skip(path, name, "its question_id occurs twice");
        }
        let annotation = self.annotations.get(&id);
        if labeled && annotation.is_none() {
            return builder.skip(path, name, "it has no annotation");
        }
        if let Some(other) = annotation.and_then(|annotation| annotation.image_id)
            && other != image_id
        {
            let reason = format!("its image_id is {image_id}, but {other} in its annotation");
            return builder.skip(path, name, reason);
        }
        if let Err(reason) = trim_caption(&text) {
            builder.report.empty_captions += 1;
            return builder.skip(path, name, reason);
        }
        let image = match self.images.get(&image_id) {
            Some(&image) => image,
            None => {
                let Some(NumberedFile {
                    root,
                    name: file,
                    other,
                }) = image_files.get(&image_id)
                else {
                    builder.report.missing_images += 1;
                    let file = format!("*{image_id:012}.jpg");
                    let reason = builder.folders.missing_message(&file);
                    return builder.skip(path, name, reason);
                };
                if let Some(other) = other {
                    let reason = format!("its image may be {file} or {other}");
                    return builder.skip(path, name, reason);
                }
                let image = builder.images.push(image_id, *root, file, None);
                self.images.insert(image_id, image);
                image
            }
        };
        let mut row = Row::new(image);
        row.record = Some(RecordId::Number(id));
        if let Some(annotation) = annotation {
            row.label = annotation.label;
            row.question_type = annotation.question_type;
            row.answer_type = annotation.answer_type;
        }
        let row = builder.push_row(row);
        // The text was checked above.
        let _ = builder.push_caption(row, &text);
    }
}
