//! NLVR2 accuracy and consistency (Suhr et al., ACL 2019).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::ids::match_ids;

/// The label of a sentence about a pair of images: an annotation or a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nlvr2Label {
    /// `split-set-pair-sentence`, such as `dev-850-0-1`, or any other unique text.
    pub identifier: String,
    /// Whether the sentence is true.
    pub label: bool,
}

/// NLVR2 metrics, each in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Nlvr2Scores {
    /// Fraction of correct predictions.
    pub accuracy: f64,
    /// Fraction of sentences whose predictions are correct for all of their image pairs. An annotation whose identifier has
    /// fewer than three parts is a sentence of its own.
    pub consistency: f64,
}

/// Scores one prediction for each annotation.
///
/// Identifiers that differ only in their third part, the image pair, belong to the same sentence.
///
/// # Errors
/// [`EvalError`] naming the record: an identifier that is repeated, missing or unknown; and [`EvalError::Empty`] without
/// annotations.
pub fn nlvr2(
    annotations: &[Nlvr2Label],
    predictions: &[Nlvr2Label],
) -> Result<Nlvr2Scores, EvalError> {
    if annotations.is_empty() {
        return Err(EvalError::Empty {
            metric: "NLVR2",
            expected: "annotation",
        });
    }
    let expected_ids = identifiers(annotations);
    let actual_ids = identifiers(predictions);
    let prediction_indices =
        match_ids(("annotations", &expected_ids), ("predictions", &actual_ids))?;

    let mut correct = 0_usize;
    let mut sentences: HashMap<(&str, &str), bool> = HashMap::new();
    for (annotation, prediction) in annotations.iter().zip(prediction_indices) {
        let sentence = sentence_key(&annotation.identifier);
        let is_correct = predictions[prediction].label == annotation.label;
        correct += usize::from(is_correct);
        *sentences.entry(sentence).or_insert(true) &= is_correct;
    }
    let consistent = sentences.values().filter(|&&all| all).count();
    Ok(Nlvr2Scores {
        accuracy: correct as f64 / annotations.len() as f64,
        consistency: consistent as f64 / sentences.len() as f64,
    })
}

fn identifiers(labels: &[Nlvr2Label]) -> Vec<&str> {
    labels
        .iter()
        .map(|label| label.identifier.as_str())
        .collect()
}

/// The parts of an identifier before and after the third one, or all of one that has fewer.
fn sentence_key(identifier: &str) -> (&str, &str) {
    let Some((second_dash, _)) = identifier.match_indices('-').nth(1) else {
        return (identifier, "");
    };
    let (set, pair) = identifier.split_at(second_dash + 1);
    (set, pair.find('-').map_or("", |dash| &pair[dash..]))
}
