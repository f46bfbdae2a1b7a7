//! VQA accuracy: agreement with human answers (Antol et al., ICCV 2015), computed as by the VQA v2 tool.

mod contractions;
mod normalize;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::EvalError;
use crate::ids::match_ids;
pub use normalize::normalize;

/// The human answers to a question, with the field names of `v2_mscoco_*_annotations.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VqaAnnotation {
    /// Id of the question.
    pub question_id: u64,
    /// The first words of the question, such as `how many`.
    pub question_type: String,
    /// `yes/no`, `number` or `other`.
    pub answer_type: String,
    /// The human answers, usually ten; in JSON strings or objects with the field `answer`.
    #[serde(deserialize_with = "deserialize_answers")]
    pub answers: Vec<String>,
}

/// A predicted answer, with the field names of VQA result files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VqaResult {
    /// Id of the question.
    pub question_id: u64,
    /// The answer.
    pub answer: String,
}

/// Mean accuracies in 0..=1; the official tool prints percentages with two decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VqaAccuracy {
    /// Mean over all questions.
    pub overall: f64,
    /// Means by question type.
    pub by_question_type: BTreeMap<String, f64>,
    /// Means by answer type.
    pub by_answer_type: BTreeMap<String, f64>,
}

/// Mean accuracies of results; there must be one for each annotated question.
///
/// # Errors
/// [`EvalError`] naming the question: an id that is repeated, missing from the results or unknown,
/// or a question with fewer than two human answers; and [`EvalError::Empty`] without questions.
pub fn vqa_accuracy(
    annotations: &[VqaAnnotation],
    results: &[VqaResult],
) -> Result<VqaAccuracy, EvalError> {
    if annotations.is_empty() {
        return Err(EvalError::Empty {
            metric: "VQA accuracy",
            expected: "annotated question",
        });
    }
    let expected_ids: Vec<u64> = annotations.iter().map(|a| a.question_id).collect();
    let actual_ids: Vec<u64> = results.iter().map(|r| r.question_id).collect();
    let result_indices = match_ids(("annotations", &expected_ids), ("results", &actual_ids))?;

    let mut overall = Mean::default();
    let mut by_question_type: BTreeMap<String, Mean> = BTreeMap::new();
    let mut by_answer_type: BTreeMap<String, Mean> = BTreeMap::new();
    for (annotation, result) in annotations.iter().zip(result_indices) {
        let VqaAnnotation {
            question_id,
            question_type,
            answer_type,
            answers,
        } = annotation;
        if answers.len() < 2 {
            let count = answers.len();
            return Err(EvalError::FewAnswers {
                question_id: *question_id,
                count,
            });
        }
        let accuracy = answer_accuracy(&results[result].answer, answers);
        overall.add(accuracy);
        by_question_type
            .entry(question_type.clone())
            .or_default()
            .add(accuracy);
        by_answer_type
            .entry(answer_type.clone())
            .or_default()
            .add(accuracy);
    }
    let means = |map: BTreeMap<String, Mean>| map.into_iter().map(|(k, m)| (k, m.get())).collect();
    Ok(VqaAccuracy {
        overall: overall.get(),
        by_question_type: means(by_question_type),
        by_answer_type: means(by_answer_type),
    })
}

/// Accuracy of one answer in 0..=1: `min(1, n / 3)` for `n` equal human answers among all but one, averaged over the
/// one left out. 0 without human answers.
///
/// Answers are normalized ([`normalize`]) only if the human answers differ; if they are all equal, the
/// prediction must be the same text, except for leading and trailing white space. This is the current rule of the
/// tool; earlier versions always normalize the prediction, normalize the human answers in part, and give
/// different accuracies.
#[must_use]
pub fn answer_accuracy(answer: &str, human_answers: &[String]) -> f64 {
    let mut answer = normalize::clean(answer);
    let mut human_answers: Vec<String> = human_answers
        .iter()
        .map(|human| normalize::clean(human))
        .collect();
    if human_answers.windows(2).any(|pair| pair[0] != pair[1]) {
        answer = normalize(&answer);
        for human in &mut human_answers {
            *human = normalize(human);
        }
    }
    let equal = human_answers
        .iter()
        .filter(|&human| *human == answer)
        .count();
    let accuracy_without = |left_out: &String| {
        let others = equal - usize::from(*left_out == answer);
        (others as f64 / 3.0).min(1.0)
    };
    let sum: f64 = human_answers.iter().map(accuracy_without).sum();
    sum / human_answers.len().max(1) as f64
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(&self) -> f64 {
        self.sum / self.count as f64
    }
}

fn deserialize_answers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Text(String),
        Record { answer: String },
    }
    let text = |answer| match answer {
        Answer::Text(text) | Answer::Record { answer: text } => text,
    };
    Ok(Vec::<Answer>::deserialize(deserializer)?
        .into_iter()
        .map(text)
        .collect())
}
