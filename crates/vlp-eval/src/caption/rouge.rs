//! ROUGE-L: longest common subsequence of caption and reference (Lin, 2004).

use super::pair::{TokenizedPair, check_pairs};
use crate::EvalError;

/// Weight of recall over precision.
const BETA: f64 = 1.2;

/// Mean ROUGE-L over the pairs, in 0..=1, computed as by the COCO caption tool.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn rouge_l(pairs: &[TokenizedPair]) -> Result<f64, EvalError> {
    check_pairs("ROUGE-L", pairs)?;
    let sum: f64 = pairs.iter().map(pair_rouge_l).sum();
    Ok(sum / pairs.len() as f64)
}

/// ROUGE-L of one caption, in 0..=1: the F-measure with beta = 1.2 of the best precision and the best recall, which
/// may be from different references.
///
/// As in the official tool, an empty text is one empty token, so two empty texts match. Without references the
/// score is 0.
#[must_use]
pub fn pair_rouge_l(pair: &TokenizedPair) -> f64 {
    let empty_token = [String::new()];
    let or_empty_token = |tokens| {
        if <[String]>::is_empty(tokens) {
            &empty_token[..]
        } else {
            tokens
        }
    };
    let caption = or_empty_token(&pair.hypothesis);
    let (mut precision, mut recall) = (0.0_f64, 0.0_f64);
    for reference in &pair.references {
        let reference = or_empty_token(reference);
        let length = common_subsequence(caption, reference) as f64;
        precision = precision.max(length / caption.len() as f64);
        recall = recall.max(length / reference.len() as f64);
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
    fn common_subsequence_keeps_order() {
        let length = |a, b| common_subsequence(&tokens(a), &tokens(b));
        assert_eq!(length("a b c d", "b d a c"), 2);
        assert_eq!(length("a b c", "x a y b z c"), 3);
        assert_eq!(length("", "a"), 0);
    }
}
