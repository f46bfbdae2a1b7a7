//! Captions with their references, and their tokenization.

use super::ptb;
use crate::EvalError;

/// A generated caption and the human captions of the same image, not tokenized.
#[derive(Debug, Clone, Copy)]
pub struct CaptionPair<'a> {
    /// The caption to score.
    pub hypothesis: &'a str,
    /// The human captions; at least one.
    pub references: &'a [String],
}

/// A generated caption and its references as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizedPair {
    /// Tokens of the caption to score.
    pub hypothesis: Vec<String>,
    /// Tokens of each reference; at least one reference.
    pub references: Vec<Vec<String>>,
}

/// Tokenizes captions and references as the official tool does: all captions as one file, all references as another.
#[must_use]
pub fn tokenize_pairs(pairs: &[CaptionPair<'_>]) -> Vec<TokenizedPair> {
    let hypotheses = ptb::tokenize_all(pairs.iter().map(|p| p.hypothesis));
    let references = pairs.iter().flat_map(|p| p.references).map(String::as_str);
    let mut references = ptb::tokenize_all(references).into_iter();
    let pair = |(pair, hypothesis): (&CaptionPair<'_>, _)| TokenizedPair {
        hypothesis,
        references: references.by_ref().take(pair.references.len()).collect(),
    };
    pairs.iter().zip(hypotheses).map(pair).collect()
}

/// Splits tokens at white space.
pub(super) fn split_at_spaces(tokens: &mut Vec<String>) {
    if tokens.iter().any(|t| t.contains(char::is_whitespace)) {
        *tokens = tokens
            .iter()
            .flat_map(|t| t.split_whitespace())
            .map(str::to_owned)
            .collect();
    }
}

/// Errors unless there are pairs and each has a reference; `metric` is named in the error.
pub(super) fn check_pairs(metric: &'static str, pairs: &[TokenizedPair]) -> Result<(), EvalError> {
    if pairs.is_empty() {
        return Err(EvalError::Empty {
            metric,
            expected: "caption pair",
        });
    }
    match pairs.iter().position(|p| p.references.is_empty()) {
        Some(index) => Err(EvalError::NoReferences { index }),
        None => Ok(()),
    }
}
