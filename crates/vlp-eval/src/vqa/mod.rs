//! VQA accuracy: agreement with the human answers (Antol et al., ICCV 2015; the VQA v2 tool).

mod contractions;
mod normalize;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::EvalError;
use crate::ids::pair_up;
pub use normalize::normalize;

/// A question's human answers, with the field names of `v2_mscoco_*_annotations.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VqaAnnotation {
    /// The question.
    pub question_id: u64,
    /// First words of the question, such as `how many`.
    pub question_type: String,
    /// `yes/no`, `number` or `other`.
    pub answer_type: String,
    /// What people answered, usually ten; in JSON strings or objects with the field `answer`.
    #[serde(deserialize_with = "answers")]
    pub answers: Vec<String>,
}

/// A predicted answer, with the field names of VQA's result files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VqaResult {
    /// The question.
    pub question_id: u64,
    /// The answer.
    pub answer: String,
}

/// Mean accuracies in 0..=1; the official tool prints them x 100 with two decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VqaAccuracy {
    /// Over all questions.
    pub overall: f64,
    /// By the annotation's question type.
    pub by_question_type: BTreeMap<String, f64>,
    /// By the annotation's answer type.
    pub by_answer_type: BTreeMap<String, f64>,
}

/// Accuracy of one result for each annotated question.
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
    let wanted: Vec<u64> = annotations.iter().map(|a| a.question_id).collect();
    let given: Vec<u64> = results.iter().map(|r| r.question_id).collect();
    let order = pair_up(("annotations", &wanted), ("results", &given))?;

    let mut overall = Mean::default();
    let mut by_question_type: BTreeMap<String, Mean> = BTreeMap::new();
    let mut by_answer_type: BTreeMap<String, Mean> = BTreeMap::new();
    for (annotation, at) in annotations.iter().zip(order) {
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
        let accuracy = answer_accuracy(&results[at].answer, answers);
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

/// Accuracy of one answer in 0..=1: against all human answers but one, three equal ones make it
/// right (`min(1, n / 3)`), averaged over the one left out. 0 without human answers.
///
/// Answers are brought to a common form ([`normalize`]) only where people disagreed; where all
/// wrote the same, the prediction must be that very text, up to white space at its ends. This is
/// the tool's present rule; copies of an earlier version normalise the prediction always and the
/// human answers in part, and give other figures.
#[must_use]
pub fn answer_accuracy(answer: &str, human: &[String]) -> f64 {
    let mut answer = normalize::clean(answer);
    let mut human: Vec<String> = human.iter().map(|h| normalize::clean(h)).collect();
    if human.windows(2).any(|pair| pair[0] != pair[1]) {
        answer = normalize(&answer);
        human.iter_mut().for_each(|h| *h = normalize(h));
    }
    let equal = human.iter().filter(|&h| *h == answer).count();
    let left_out = |h: &String| {
        let others = equal - usize::from(*h == answer);
        (others as f64 / 3.0).min(1.0)
    };
    human.iter().map(left_out).sum::<f64>() / human.len().max(1) as f64
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

fn answers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answer {
        Text(String),
        Record { answer: String },
    }
    let text = |answer| match answer {
        Answer::Text(text) | Answer::Record { answer: text } => text,
    };
    Ok(Vec::<Answer>::deserialize(from)?
        .into_iter()
        .map(text)
        .collect())
}
