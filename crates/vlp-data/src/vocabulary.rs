use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{DataError, Label, Source, Subset};

/// The answers that a VQA head chooses among, numbered from 0.
///
/// The published rule: of the normalised consensus answers (`multiple_choice_answer`) of the training questions those
/// seen in at least 9 questions, 3,129 for VQA v2's train and val. The most frequent comes first, equally frequent ones
/// in the order of their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerVocabulary {
    answers: Arc<Vec<String>>,
    numbers: HashMap<String, usize>,
}

/// The file's form, as `trainval_ans2label.json` and `trainval_label2ans.json` in one.
#[derive(Serialize, Deserialize)]
struct Json {
    ans2label: BTreeMap<String, usize>,
    label2ans: Vec<String>,
}

impl AnswerVocabulary {
    /// The rule's `min_count`: 9 questions.
    pub const MIN_COUNT: usize = 9;

    /// The vocabulary of the questions' consensus answers. `normalise` is the official evaluation's normaliser.
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
        normalise: impl Fn(&str) -> String,
    ) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut normal: HashMap<&str, String> = HashMap::new();
        for answer in consensus {
            let answer = normal.entry(answer).or_insert_with(|| normalise(answer));
            *counts.entry(answer.clone()).or_default() += 1;
        }
        let mut kept: Vec<(String, usize)> = counts
            .into_iter()
            .filter(|&(_, count)| count >= min_count)
            .collect();
        kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self::new(kept.into_iter().map(|(answer, _)| answer).collect())
    }

    /// Of answers by number.
    pub fn new(answers: Vec<String>) -> Self {
        let numbers = answers.iter().cloned().zip(0..).collect();
        Self {
            answers: Arc::new(answers),
            numbers,
        }
    }

    /// The answers by number, to be kept beside many samples.
    pub fn shared(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.answers)
    }

    /// The answers by number.
    pub fn answers(&self) -> &[String] {
        &self.answers
    }

    /// Number of answers.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The number of an answer.
    pub fn number(&self, answer: &str) -> Option<usize> {
        self.numbers.get(answer).copied()
    }

    /// The soft scores of annotators' answers: (number, score) of every answer of the vocabulary that was given, by
    /// number. 1, 2, 3 and more than 3 annotators score 0.3, 0.6, 0.9 and 1; answers of others score 0.
    ///
    /// Of ten annotators that is the official accuracy of the answer. As in the published rule it is the raw answers
    /// that are counted, while the vocabulary is normalised: one given as `A cat` does not count for `cat`.
    pub fn scores(&self, answers: &[String]) -> Vec<(usize, f32)> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for number in answers.iter().filter_map(|answer| self.number(answer)) {
            *counts.entry(number).or_default() += 1;
        }
        let score = |count: usize| [0.0, 0.3, 0.6, 0.9, 1.0][count.min(4)];
        let scored = counts
            .into_iter()
            .map(|(number, count)| (number, score(count)));
        scored.collect()
    }

    /// The samples that have an answer in the vocabulary, and how many have none: published training sets leave these
    /// out.
    ///
    /// # Errors
    /// When a sample's label cannot be read.
    pub fn answerable(&self, source: &Arc<dyn Source>) -> Result<(Subset, usize), DataError> {
        let mut kept = Vec::new();
        for index in 0..source.len() {
            if let Some(Label::Answers(answers)) = source.label(index)?
                && answers.iter().any(|answer| self.number(answer).is_some())
            {
                kept.push(index);
            }
        }
        let left_out = source.len() - kept.len();
        let name = format!("{} answerable", source.name());
        Ok((Subset::new(source.clone(), kept, name)?, left_out))
    }

    /// Reads `{"ans2label": {answer: number}, "label2ans": [answer]}`.
    ///
    /// # Errors
    /// [`DataError::Io`], or [`DataError::Format`] where it is something else or the two disagree.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let format = |reason: String| DataError::Format {
            path: path.into(),
            reason,
        };
        let bytes = fs::read(path).map_err(DataError::io(path))?;
        let json: Json = serde_json::from_slice(&bytes).map_err(|error| {
            format(format!(
                "{error}; it must be {{\"ans2label\": {{answer: number}}, \"label2ans\": [answer]}}"
            ))
        })?;
        let vocabulary = Self::new(json.label2ans);
        let agree = vocabulary.numbers.len() == vocabulary.len()
            && json.ans2label.len() == vocabulary.len()
            && (json.ans2label.iter())
                .all(|(answer, &number)| vocabulary.number(answer) == Some(number));
        if agree {
            return Ok(vocabulary);
        }
        Err(format(
            "ans2label and label2ans are not the inverse of one another".into(),
        ))
    }

    /// Writes what [`read`](Self::read) reads.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        let path = path.as_ref();
        let json = Json {
            ans2label: (self.answers.iter().cloned().zip(0..)).collect(),
            label2ans: self.answers.to_vec(),
        };
        let text = serde_json::to_string(&json).map_err(|error| DataError::Format {
            path: path.into(),
            reason: error.to_string(),
        })?;
        fs::write(path, text).map_err(DataError::io(path))
    }
}
