//! NLVR2 accuracy and consistency (Suhr et al., ACL 2019).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::ids::pair_up;

/// Whether a sentence is true of a pair of images: an annotation or a prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nlvr2Label {
    /// `split-set-pair-sentence`, such as `dev-850-0-1`.
    pub identifier: String,
    /// Whether the sentence is true.
    pub label: bool,
}

/// Shares in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Nlvr2Scores {
    /// Share of right predictions.
    pub accuracy: f64,
    /// Share of sentences that are right for every one of their image pairs.
    pub consistency: f64,
}

/// Scores one prediction for each annotation.
///
/// A sentence is an identifier without its third part, the image pair.
///
/// # Errors
/// [`EvalError`] naming the record: an identifier that is repeated, missing, unknown or has fewer
/// than three parts; and [`EvalError::Empty`] without annotations.
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
    let ids = |labels| {
        <[Nlvr2Label]>::iter(labels)
            .map(|l| l.identifier.as_str())
            .collect()
    };
    let (wanted, given): (Vec<&str>, Vec<&str>) = (ids(annotations), ids(predictions));
    let order = pair_up(("annotations", &wanted), ("predictions", &given))?;

    let mut right = 0_usize;
    let mut sentences: HashMap<(&str, &str), bool> = HashMap::new();
    for (index, (annotation, at)) in annotations.iter().zip(order).enumerate() {
        let sentence =
            sentence(&annotation.identifier).ok_or_else(|| EvalError::BadIdentifier {
                list: "annotations",
                index,
                identifier: annotation.identifier.clone(),
            })?;
        let hit = predictions[at].label == annotation.label;
        right += usize::from(hit);
        *sentences.entry(sentence).or_insert(true) &= hit;
    }
    let consistent = sentences.values().filter(|&&all| all).count();
    Ok(Nlvr2Scores {
        accuracy: right as f64 / annotations.len() as f64,
        consistency: consistent as f64 / sentences.len() as f64,
    })
}

/// What precedes and what follows the third part of an identifier.
fn sentence(identifier: &str) -> Option<(&str, &str)> {
    let (second_dash, _) = identifier.match_indices('-').nth(1)?;
    let (set, pair) = identifier.split_at(second_dash + 1);
    Some((set, pair.find('-').map_or("", |at| &pair[at..])))
}
