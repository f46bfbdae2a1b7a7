use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use vlp_files::write_whole;

use crate::{DataError, Label, Source, Subset};

/// The answer classes of a VQA head.
///
/// By the usual rule of VQA v2 these are the normalized consensus answers (`multiple_choice_answer`) of at least 9 training
/// questions: 3,129 for train and val. They are sorted by descending frequency, then by text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerVocabulary {
    answers: Arc<Vec<String>>,
    indices: HashMap<String, usize>,
}

/// The file formats.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Json {
    /// Both of the following; this is what is written.
    Both {
        ans2label: BTreeMap<String, usize>,
        label2ans: Vec<String>,
    },
    /// `trainval_label2ans.json`.
    Answers(Vec<String>),
    /// `trainval_ans2label.json`.
    Indices(BTreeMap<String, usize>),
}

impl AnswerVocabulary {
    /// The rule's `min_count`: 9 questions.
    pub const MIN_COUNT: usize = 9;

    /// The vocabulary of the consensus answers that occur at least `min_count` times after `normalize`, the official
    /// evaluation's normalizer.
    ///
    /// ```
    /// use vlp_data::AnswerVocabulary;
    /// let answers = ["Yes", "no", "yes", "no", "no", "a cat"];
    /// let vocabulary = AnswerVocabulary::build(answers, 2, str::to_lowercase);
    /// assert_eq!(vocabulary.answers(), ["no", "yes"]);
    /// ```
    pub fn build<'a>(
        consensus: impl IntoIterator<Item = &'a str>,
        min_count: usize,
        normalize: impl Fn(&str) -> String,
    ) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut normalized: HashMap<&str, String> = HashMap::new();
        for answer in consensus {
            let answer = normalized
                .entry(answer)
                .or_insert_with(|| normalize(answer));
            *counts.entry(answer.clone()).or_default() += 1;
        }
        let mut answers: Vec<(String, usize)> = counts
            .into_iter()
            .filter(|&(_, count)| count >= min_count)
            .collect();
        answers.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self::new(answers.into_iter().map(|(answer, _)| answer).collect())
    }

    /// A vocabulary of `answers`, by index.
    pub fn new(answers: Vec<String>) -> Self {
        let indices = answers.iter().cloned().zip(0..).collect();
        Self {
            answers: Arc::new(answers),
            indices,
        }
    }

    /// The answers by index, cheap to clone.
    pub fn shared_answers(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.answers)
    }

    /// The answers by index.
    pub fn answers(&self) -> &[String] {
        &self.answers
    }

    /// Number of answers.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are no answers.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The index of an answer.
    pub fn index(&self, answer: &str) -> Option<usize> {
        self.indices.get(answer).copied()
    }

    /// The soft scores of the annotators' answers, as (index, score) by ascending index: 0.3, 0.6, 0.9 and 1 for an answer
    /// of 1, 2, 3 and more annotators. Answers outside the vocabulary are left out.
    ///
    /// For ten annotators this is the official accuracy of the answer. As in the published code raw answers are counted
    /// although the vocabulary is normalized: `A cat` does not count for `cat`.
    pub fn soft_scores(&self, answers: &[String]) -> Vec<(usize, f32)> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for index in answers.iter().filter_map(|answer| self.index(answer)) {
            *counts.entry(index).or_default() += 1;
        }
        let score = |count: usize| [0.0, 0.3, 0.6, 0.9, 1.0][count.min(4)];
        let scored = counts
            .into_iter()
            .map(|(index, count)| (index, score(count)));
        scored.collect()
    }

    /// The samples with an answer in the vocabulary, as published training sets have them, and the number of the others.
    ///
    /// # Errors
    /// If a sample's label is unreadable.
    pub fn answerable(&self, source: &Arc<dyn Source>) -> Result<(Subset, usize), DataError> {
        let mut indices = Vec::new();
        for index in 0..source.len() {
            if let Some(Label::Answers(answers)) = source.label(index)?
                && answers.iter().any(|answer| self.index(answer).is_some())
            {
                indices.push(index);
            }
        }
        let unanswerable = source.len() - indices.len();
        let name = format!("{} answerable", source.name());
        Ok((Subset::new(source.clone(), indices, name)?, unanswerable))
    }

    /// Reads the answers of published training sets: `trainval_label2ans.json`, a list by index, `trainval_ans2label.json`,
    /// `{answer: index}`, or `{"ans2label": {answer: index}, "label2ans": [answer]}`.
    ///
    /// # Errors
    /// [`DataError::Io`], or [`DataError::Format`] if the file has another format, repeats an answer, or an index is missing.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let format_error = |reason: &str| DataError::Format {
            path: path.into(),
            reason: reason.into(),
        };
        let bytes = fs::read(path).map_err(DataError::io(path))?;
        let json: Json = serde_json::from_slice(&bytes).map_err(|_| {
            format_error(
                "it must be a JSON list of answers, {answer: index}, or {\"ans2label\": {answer: index}, \"label2ans\": [answer]}",
            )
        })?;
        let (answers, indices) = match json {
            Json::Both {
                ans2label,
                label2ans,
            } => (label2ans, Some(ans2label)),
            Json::Answers(answers) => (answers, None),
            Json::Indices(indices) => {
                let mut by_index: Vec<(&usize, &String)> = indices
                    .iter()
                    .map(|(answer, index)| (index, answer))
                    .collect();
                by_index.sort();
                let answers = by_index.into_iter().map(|(_, answer)| answer.clone());
                (answers.collect(), Some(indices))
            }
        };
        let vocabulary = Self::new(answers);
        if vocabulary.indices.len() != vocabulary.len() {
            return Err(format_error("an answer occurs twice"));
        }
        let agrees = |(answer, index): (&String, &usize)| vocabulary.index(answer) == Some(*index);
        match indices {
            Some(indices) if indices.len() != vocabulary.len() || !indices.iter().all(agrees) => {
                Err(format_error(
                    "its indices are not 0, 1, 2, ..., each once, in the order of label2ans",
                ))
            }
            _ => Ok(vocabulary),
        }
    }

    /// Writes the last format that [`read`](Self::read) reads.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        let path = path.as_ref();
        let json = Json::Both {
            ans2label: (self.answers.iter().cloned().zip(0..)).collect(),
            label2ans: self.answers.to_vec(),
        };
        let text = serde_json::to_string(&json).map_err(|error| DataError::Format {
            path: path.into(),
            reason: error.to_string(),
        })?;
        write_whole(path, text.as_bytes()).map_err(DataError::io(path))
    }
}
