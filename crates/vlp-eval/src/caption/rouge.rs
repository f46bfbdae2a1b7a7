//! ROUGE-L: longest common subsequence of caption and reference.

use super::{TokenizedPair, check};
use crate::EvalError;

/// Weight of recall over precision.
const BETA: f64 = 1.2;

/// Mean ROUGE-L over the pairs, in 0..=1, as the COCO caption tool computes it.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn rouge_l(pairs: &[TokenizedPair]) -> Result<f64, EvalError> {
    rouge_l_ticking(pairs, &mut || ())
}

/// As [`rouge_l`], with a call of `tick` after each pair.
pub(super) fn rouge_l_ticking(
    pairs: &[TokenizedPair],
    tick: &mut dyn FnMut(),
) -> Result<f64, EvalError> {
    check("ROUGE-L", pairs)?;
    let mut sum = 0.0;
    for pair in pairs {
        sum += pair_rouge_l(pair);
        tick();
    }
    Ok(sum / pairs.len() as f64)
}

/// ROUGE-L of one caption, in 0..=1: best precision and best recall over the references, which
/// may be of different references, joined with beta = 1.2.
///
/// A text without tokens counts as one empty token, so two of them match: the official tool
/// splits the empty string so. Without references the score is 0.
#[must_use]
pub fn pair_rouge_l(pair: &TokenizedPair) -> f64 {
    let blank = [String::new()];
    let or_blank = |tokens| {
        if <[String]>::is_empty(tokens) {
            &blank[..]
        } else {
            tokens
        }
    };
    let caption = or_blank(&pair.hypothesis);
    let (mut precision, mut recall) = (0.0_f64, 0.0_f64);
    for reference in &pair.references {
        let reference = or_blank(reference);
        let common = common_subsequence(caption, reference) as f64;
        precision = precision.max(common / caption.len() as f64);
        recall = recall.max(common / reference.len() as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    let beta2 = BETA * BETA;
    (1.0 + beta2) * precision * recall / (recall + beta2 * precision)
}

/// Length of the longest common subsequence.
fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn subsequence_keeps_order() {
        let length = |a, b| common_subsequence(&tokens(a), &tokens(b));
        assert_eq!(length("a b c d", "b d a c"), 2);
        assert_eq!(length("a b c", "x a y b z c"), 3);
        assert_eq!(length("", "a"), 0);
    }
}
