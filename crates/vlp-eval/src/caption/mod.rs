//! Scores of generated captions against references, as the COCO caption tool computes them.
//!
//! [`caption_scores`] goes from raw strings to all scores. The modules below score text that is
//! already split into tokens; [`ptb`] is the split the official tool uses.

pub mod bleu;
pub mod cider;
mod corpus;
pub mod meteor;
mod ngram;
pub mod ptb;
pub mod rouge;

use serde::Serialize;

use crate::EvalError;

pub use corpus::CiderCorpus;

/// A generated caption and the human captions of the same image, as written.
#[derive(Debug, Clone, Copy)]
pub struct CaptionPair<'a> {
    /// The caption to score.
    pub hypothesis: &'a str,
    /// What people wrote; at least one.
    pub references: &'a [String],
}

/// A generated caption and its references, split into tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizedPair {
    /// Tokens of the caption to score.
    pub hypothesis: Vec<String>,
    /// Tokens of each reference; at least one reference.
    pub references: Vec<Vec<String>>,
}

/// Scores of a set of captions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptionScores {
    /// BLEU-1 to BLEU-4 of the whole set, each in 0..=1.
    pub bleu: [f64; 4],
    /// Mean ROUGE-L, in 0..=1.
    pub rouge_l: f64,
    /// Mean CIDEr-D, in 0..=10 (often reported x 100).
    pub cider_d: f64,
}

/// Tokenises the captions and computes every score.
///
/// CIDEr-D weighs n-grams by their rarity among the references given, so it depends on the whole
/// set: a single pair scores 0.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn caption_scores(pairs: &[CaptionPair<'_>]) -> Result<CaptionScores, EvalError> {
    caption_scores_with_progress(pairs, |_, _| ())
}

/// As [`caption_scores`]; `progress` hears how many of how many steps are done: one for each text
/// that is split, four for each pair that is scored.
///
/// # Errors
/// As [`caption_scores`].
pub fn caption_scores_with_progress(
    pairs: &[CaptionPair<'_>],
    mut progress: impl FnMut(usize, usize),
) -> Result<CaptionScores, EvalError> {
    let texts: usize = pairs.iter().map(|p| 1 + p.references.len()).sum();
    let (mut done, total) = (0, texts + (2 + cider::CIDER_TICKS) * pairs.len());
    let tick = &mut || {
        done += 1;
        progress(done, total);
    };
    let mut tokens = tokenize_ticking(pairs, tick);
    let rouge_l = rouge::rouge_l_ticking(&tokens, tick)?;
    // The tokeniser keeps "1 1/2" and phone numbers whole around a no-break space. In the official
    // tool ROUGE sees them whole, while BLEU and CIDEr split at any white space.
    for pair in &mut tokens {
        split_spaces(&mut pair.hypothesis);
        pair.references.iter_mut().for_each(split_spaces);
    }
    Ok(CaptionScores {
        bleu: bleu::bleu_ticking(&tokens, tick)?,
        rouge_l,
        cider_d: cider::cider_d_ticking(&tokens, tick)?,
    })
}

/// Tokenises captions and references as the official tool does: two files, in the order given.
#[must_use]
pub fn tokenize_pairs(pairs: &[CaptionPair<'_>]) -> Vec<TokenizedPair> {
    tokenize_ticking(pairs, &mut || ())
}

fn tokenize_ticking(pairs: &[CaptionPair<'_>], tick: &mut dyn FnMut()) -> Vec<TokenizedPair> {
    let hypotheses = ptb::tokenize_ticking(pairs.iter().map(|p| p.hypothesis), tick);
    let all = pairs.iter().flat_map(|p| p.references).map(String::as_str);
    let mut references = ptb::tokenize_ticking(all, tick).into_iter();
    let pair = |(pair, hypothesis): (&CaptionPair<'_>, _)| TokenizedPair {
        hypothesis,
        references: references.by_ref().take(pair.references.len()).collect(),
    };
    pairs.iter().zip(hypotheses).map(pair).collect()
}

fn split_spaces(tokens: &mut Vec<String>) {
    if tokens.iter().any(|t| t.contains(char::is_whitespace)) {
        *tokens = tokens
            .iter()
            .flat_map(|t| t.split_whitespace())
            .map(str::to_owned)
            .collect();
    }
}

/// The checks shared by the metrics of this module.
fn check(metric: &'static str, pairs: &[TokenizedPair]) -> Result<(), EvalError> {
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
