use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    builder::{Builder, name_of},
    pictures::Folders,
    records::{Raw, lists},
    source::{CocoIds, FileSource, Id, Row, Stored},
};
use crate::{AnswerType, DataError, LabelSpace, Limits};

/// VQA v2's files, of one split or of several read as one set (as train and val are for a test submission).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VqaFiles {
    /// `v2_OpenEnded_mscoco_SPLIT_questions.json`, at least one.
    pub questions: Vec<PathBuf>,
    /// `v2_mscoco_SPLIT_annotations.json`; none for test splits, whose samples have no labels.
    pub annotations: Vec<PathBuf>,
    /// Folders of pictures whose names end in the image id, such as `COCO_train2014_000000000009.jpg`.
    pub images: Vec<PathBuf>,
}

impl VqaFiles {
    /// Finds the files of a split, such as `train2014` or `test-dev2015`, in `dir`, and its pictures in `SPLIT`,
    /// `images/SPLIT`, `images` or `../SPLIT`. A `test-dev` split's pictures are the `test` split's.
    ///
    /// # Errors
    /// [`DataError::Missing`] saying what was looked for.
    pub fn find(dir: impl AsRef<Path>, split: &str) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        let questions = dir.join(format!("v2_OpenEnded_mscoco_{split}_questions.json"));
        if !questions.is_file() {
            let listing = fs::read_dir(dir).map_err(DataError::io(dir))?;
            let mut splits: Vec<String> = listing
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter_map(|name| {
                    let split = name.strip_prefix("v2_OpenEnded_mscoco_")?;
                    Some(split.strip_suffix("_questions.json")?.to_owned())
                })
                .collect();
            splits.sort();
            let reason = format!("no such file; splits there are: [{}]", splits.join(", "));
            return Err(DataError::Missing {
                path: questions,
                reason,
            });
        }
        let annotations = dir.join(format!("v2_mscoco_{split}_annotations.json"));
        let of = split.replace("test-dev", "test");
        let folders = [
            dir.join(&of),
            dir.join("images").join(&of),
            dir.join("images"),
            dir.join("..").join(&of),
        ];
        let Some(images) = folders.iter().find(|folder| folder.is_dir()) else {
            return Err(DataError::Missing {
                path: dir.into(),
                reason: format!(
                    "no folder of pictures: neither {of}, images/{of}, images nor ../{of}"
                ),
            });
        };
        Ok(Self {
            questions: vec![questions],
            annotations: annotations
                .is_file()
                .then_some(annotations)
                .into_iter()
                .collect(),
            images: vec![images.clone()],
        })
    }
}

#[derive(Deserialize)]
struct Question {
    question_id: Option<u64>,
    image_id: Option<u64>,
    question: Option<String>,
}

#[derive(Deserialize)]
struct Annotation {
    question_id: Option<u64>,
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

/// Reads VQA v2: one sample a question, in the files' order; its caption is the question, its label the raw answers, its
/// record the `question_id` with question and answer type, its key the `image_id`. With annotation files, questions
/// without an annotation are left out.
///
/// # Errors
/// When a file is missing or not in the format, or no question can be used.
pub fn vqa(files: &VqaFiles, limits: &Limits) -> Result<FileSource, DataError> {
    let Some(first) = files.questions.first() else {
        return Err(DataError::Config {
            field: "VqaFiles.questions",
            reason: "it is empty; at least one file is needed".into(),
        });
    };
    let folders = Folders::new(files.images.clone())?;
    let pictures = folders.by_number();
    let builder = Builder::new(name_of(first), folders, limits);
    let mut reading = Reading {
        builder,
        found: HashMap::new(),
        asked: HashSet::new(),
        answered: HashMap::new(),
    };
    for path in &files.annotations {
        lists(path, &["annotations"], &[], |_, raw| {
            reading.annotation(path, &raw);
        })?;
    }
    for path in &files.questions {
        lists(path, &["questions"], &[], |_, raw| {
            reading.question(path, &raw, &pictures, !files.annotations.is_empty());
        })?;
    }
    if let Some(path) = files.annotations.last() {
        let mut idle: Vec<u64> = reading.answered.keys().copied().collect();
        idle.retain(|id| !reading.asked.contains(id));
        idle.sort_unstable();
        for id in idle {
            let builder = &mut reading.builder;
            builder.fault(
                path,
                format!("annotation of question {id}"),
                "there is no such question",
            );
        }
    }
    let labels = LabelSpace::default();
    reading.builder.finish(first, labels, CocoIds::Keys)
}

struct Reading {
    builder: Builder,
    /// Pictures by image id.
    found: HashMap<u64, u32>,
    asked: HashSet<u64>,
    answered: HashMap<u64, (Stored, Option<u32>, Option<AnswerType>)>,
}

impl Reading {
    fn annotation(&mut self, path: &Path, raw: &Raw<'_>) {
        let builder = &mut self.builder;
        let (id, record) = match raw.parse::<Annotation>() {
            Ok(Annotation {
                question_id: None, ..
            }) => {
                let record = format!("annotation number {}", raw.number);
                return builder.fault(path, record, "it lacks question_id");
            }
            Ok(annotation) => (annotation.question_id.unwrap_or_default(), annotation),
            Err(reason) => {
                return builder.fault(path, format!("annotation number {}", raw.number), reason);
            }
        };
        let name = format!("annotation of question {id}");
        if self.answered.contains_key(&id) {
            return builder.fault(path, name, "its question_id occurs twice");
        }
        if record.answers.is_empty() {
            return builder.fault(path, name, "it has no answers");
        }
        let answers: Vec<String> = record.answers.into_iter().map(|a| a.answer).collect();
        let label = builder.answers(&answers, record.multiple_choice_answer.as_deref());
        let question_type = record.question_type.filter(|text| !text.is_empty());
        let question_type = question_type.map(|text| builder.word(&text));
        self.answered
            .insert(id, (label, question_type, record.answer_type));
    }

    fn question(
        &mut self,
        path: &Path,
        raw: &Raw<'_>,
        pictures: &HashMap<u64, (u16, String)>,
        labelled: bool,
    ) {
        let builder = &mut self.builder;
        let question = match raw.parse::<Question>() {
            Ok(question) => question,
            Err(reason) => {
                return builder.fault(path, format!("question number {}", raw.number), reason);
            }
        };
        let Question {
            question_id: Some(id),
            image_id: Some(image),
            question: Some(text),
        } = question
        else {
            let record = format!("question number {}", raw.number);
            return builder.fault(path, record, "it lacks question_id, image_id or question");
        };
        let record = format!("question {id}");
        if !self.asked.insert(id) {
            return builder.fault(path, record, "its question_id occurs twice");
        }
        let answered = self.answered.get(&id);
        if labelled && answered.is_none() {
            return builder.fault(path, record, "it has no annotation");
        }
        if let Err(reason) = super::report::caption(&text) {
            builder.report.empty_captions += 1;
            return builder.fault(path, record, reason);
        }
        let picture = match self.found.get(&image) {
            Some(&picture) => picture,
            None => {
                let Some((root, file)) = pictures.get(&image) else {
                    builder.report.missing_pictures += 1;
                    let reason = builder.folders.missing(&format!("*{image:012}.jpg"));
                    return builder.fault(path, record, reason);
                };
                let picture = builder.pictures.push(image, *root, file, None);
                self.found.insert(image, picture);
                picture
            }
        };
        let mut row = Row::new(picture);
        row.record = Some(Id::Number(id));
        if let Some(&(label, question_type, answer_type)) = answered {
            row.label = label;
            row.question_type = question_type;
            row.answer_type = answer_type;
        }
        let row = builder.row(row);
        // The text was found to be a caption above.
        let _ = builder.caption(row, &text);
    }
}
